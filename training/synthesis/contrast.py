"""The head as FLAIR shows it, at 1 mm and without noise: tissues, lesions, and what looks like a lesion and is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.synthesis.fields import blurred_noise, smooth_field
from training.synthesis.heads import Head
from training.synthesis.tissues import FLAIR_BRIGHTNESS, Tissue

_FREE_CONTRAST = 0.15  # share of the scans whose tissues take any brightness: no scanner is left out


def paint(head: Head, lesion: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Brightness float32 on the head's grid, white matter about 1.

    Args:
        head: the anatomy.
        lesion: fraction 0..1 of each voxel that is lesion, from `draw_lesions`.
        generator: draws everything.
    """
    image = _tissues(head, generator)
    _fluid_flow(image, head, generator)
    _normal_rim(image, head, generator)
    _lesions(image, lesion, generator)
    if generator.random() < 0.35:
        for _ in range(int(generator.integers(1, 3))):
            _infarct(image, head, generator)
    if generator.random() < 0.4:
        _lacunes(image, head, generator)
    return image


def _tissues(head: Head, generator: np.random.Generator) -> NDArray[np.float32]:
    means = np.array([generator.uniform(FLAIR_BRIGHTNESS[t].low, FLAIR_BRIGHTNESS[t].high) for t in Tissue])
    if generator.random() < _FREE_CONTRAST:
        for tissue in Tissue:
            if tissue not in (Tissue.AIR, Tissue.WHITE_MATTER):
                means[tissue] *= np.exp(generator.normal(0, 0.25))
    # Fat saturation darkens all that is outside the skull together.
    if generator.random() < 0.4:
        for tissue in (Tissue.SOFT_TISSUE, Tissue.MARROW, Tissue.SKULL, Tissue.MUCOSA):
            means[tissue] *= generator.uniform(0.1, 0.5)
    textures = np.array([FLAIR_BRIGHTNESS[t].texture for t in Tissue]) * generator.uniform(0.3, 1.5)
    noise = blurred_noise(head.tissue.shape, generator.uniform(0.6, 2.0), generator)
    coarse = smooth_field(head.tissue.shape, (12, 14, 10), generator)
    image = means.astype(np.float32)[head.tissue]
    texture = textures.astype(np.float32)[head.tissue] * (0.7 * noise + 0.7 * coarse)
    return np.asarray(np.maximum(image + texture, 0), np.float32)


def _fluid_flow(image: NDArray[np.float32], head: Head, generator: np.random.Generator) -> None:
    """CSF that moved during the inversion is bright: patches in ventricles and cisterns."""
    if generator.random() < 0.5:
        return
    patches = smooth_field(image.shape, (8, 8, 8), generator) > generator.uniform(1.0, 2.0)
    where = patches & head.is_tissue(Tissue.CSF, Tissue.VENTRICLE)
    image[where] += np.float32(generator.uniform(0.2, 0.9))


def _normal_rim(image: NDArray[np.float32], head: Head, generator: np.random.Generator) -> None:
    """A thin bright line along the ventricles is normal, as is a little more of it at the horns."""
    reach = generator.uniform(0.5, 1.6) + 0.4 * smooth_field(image.shape, (6, 6, 6), generator)
    near = (head.to_ventricles_mm > 0) & (head.to_ventricles_mm < reach) & head.is_tissue(Tissue.WHITE_MATTER)
    image[near] *= np.float32(generator.uniform(1.0, 1.45))


def _lesions(image: NDArray[np.float32], lesion: NDArray[np.float32], generator: np.random.Generator) -> None:
    ratio = generator.triangular(1.25, 1.6, 2.3)
    inner = 1 + generator.uniform(0.02, 0.12) * smooth_field(image.shape, (20, 24, 18), generator)
    bright = np.maximum(ratio * inner, 1.15).astype(np.float32)
    image += lesion * (bright - image)
    if generator.random() < 0.5:  # lesions fade out into tissue that a reader would not mark
        halo = ndimage.gaussian_filter(lesion, generator.uniform(1.5, 4.0)) * (1 - lesion)
        image += np.float32(generator.uniform(0.1, 0.3)) * halo * (image > 0.6)


def _infarct(image: NDArray[np.float32], head: Head, generator: np.random.Generator) -> None:
    """Not WMH: cortex and the white matter under it, bright (recent) or a cavity with a bright rim (old)."""
    cortex = np.argwhere(head.is_tissue(Tissue.CORTEX)[::3, ::3, ::3]) * 3
    centre = cortex[generator.integers(len(cortex))]
    radius = generator.uniform(7, 26)
    low, high = np.maximum(centre - 40, 0), np.minimum(centre + 41, image.shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = np.ogrid[window]
    stretch = generator.uniform(0.7, 1.4, 3)
    distance = np.sqrt(sum(((axis - c) / s) ** 2 for axis, c, s in zip(axes, centre, stretch, strict=True)))
    edge = radius * (1 + 0.15 * smooth_field(distance.shape, (6, 6, 6), generator))
    tissue = head.is_tissue(Tissue.CORTEX, Tissue.WHITE_MATTER, Tissue.DEEP_GREY)[window]
    inside = (distance < edge) & tissue
    part = image[window]
    bright = np.float32(generator.uniform(1.3, 2.1))
    if generator.random() < 0.5:
        part[inside] = bright * (1 + 0.08 * generator.standard_normal(int(inside.sum()), np.float32))
    else:
        core = inside & (distance < edge - generator.uniform(1.5, 5.0))
        part[inside] = bright
        part[core] = np.float32(generator.uniform(0.05, 0.4))


def _lacunes(image: NDArray[np.float32], head: Head, generator: np.random.Generator) -> None:
    """Fluid-filled holes of 3 to 10 mm in deep tissue, often with a thin bright rim, and wide perivascular spaces."""
    deep = np.argwhere(head.is_tissue(Tissue.DEEP_GREY, Tissue.WHITE_MATTER)[::3, ::3, ::3]) * 3
    for _ in range(int(generator.integers(1, 6))):
        centre = deep[generator.integers(len(deep))]
        radius = generator.uniform(1.2, 4.0)
        low, high = np.maximum(centre - 8, 0), np.minimum(centre + 9, image.shape)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.ogrid[window], centre, strict=True)))
        if generator.random() < 0.6:
            image[window][distance < radius + 1] = np.float32(generator.uniform(1.0, 1.4))
        image[window][distance < radius] = np.float32(generator.uniform(0.1, 0.5))
