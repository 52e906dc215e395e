"""Random changes of a slice that keep its label true: geometry, contrast, bias field, noise, resolution, thickness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.masked import HIGHEST, LOWEST
from training.data.ignored import UNKNOWN

Image = NDArray[np.float32]
Window = tuple[slice, slice]
WHOLE: Final[Window] = (slice(None), slice(None))
_NEAR_LOWEST: Final = 0.7  # noise about the one value outside the brain


@dataclass(frozen=True)
class AugmentationSettings:
    """Ranges of the random changes; intensities are those of normalised images (SD 1 in the brain mask).

    Attributes:
        thickness_share: most of a neighbouring slice that is mixed in, below 0.5; 0: no slice is made thicker.
    """

    rotation_degrees: float = 20.0
    scale: float = 0.15
    anisotropy: float = 0.08
    shift_pixels: float = 12.0
    flip_probability: float = 0.5
    elastic_pixels: float = 3.0
    gamma: float = 0.35
    contrast: float = 0.2
    brightness: float = 0.2
    bias_field: float = 0.25
    noise: float = 0.12
    blur_sigma: float = 1.0
    blur_probability: float = 0.3
    coarsest_resolution: float = 0.5
    coarse_probability: float = 0.2
    thickness_share: float = 0.0
    thickness_probability: float = 0.3

    def __post_init__(self) -> None:
        """The slice's own label holds only while most of it is the slice's own."""
        if not 0 <= self.thickness_share < 0.5:
            raise ValueError(f"thickness_share: expected 0 to below 0.5, got {self.thickness_share:g}")


def augment(
    image: Image,
    label: Image,
    settings: AugmentationSettings,
    generator: np.random.Generator,
    window: Window = WHOLE,
) -> tuple[Image, Image]:
    """One random variant of a normalised slice (row, column) and its label of zeros, ones and `UNKNOWN`.

    Args:
        image: the slice.
        label: of the same shape.
        settings: ranges of the changes.
        generator: what the variant depends on.
        window: the part of the moved slice that is wanted; the rest is not computed.
    """
    image, label = _warp(image, label, settings, generator, window)
    return _intensity(image, settings, generator), label


def augment_brain(
    image: Image,
    label: Image,
    settings: AugmentationSettings,
    generator: np.random.Generator,
    window: Window = WHOLE,
) -> tuple[Image, Image]:
    """`augment` for images of the brain alone (`segmentation.preprocessing.masked`): what is outside stays outside."""
    inside = cv2.erode((image > LOWEST).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    varied, moved = augment(np.where(inside, image, np.float32(LOWEST)), label, settings, generator, window)
    varied = np.where(varied <= LOWEST + _NEAR_LOWEST, LOWEST, varied)
    return np.clip(varied, LOWEST, HIGHEST).astype(np.float32), moved


def thicken(image: Image, neighbour: Image, settings: AugmentationSettings, generator: np.random.Generator) -> Image:
    """A slice (row, column) as a scanner with thicker or more slanted slices would have taken it, or as it is.

    Partial volume: signal of the slice beside it is in it. What fills most of the slice, its label, stays.
    """
    if settings.thickness_share == 0 or generator.random() >= settings.thickness_probability:
        return image
    share = np.float32(generator.uniform(0, settings.thickness_share))
    return (1 - share) * image + share * neighbour


def _warp(
    image: Image, label: Image, settings: AugmentationSettings, generator: np.random.Generator, window: Window
) -> tuple[Image, Image]:
    rows, columns = image.shape
    angle = np.deg2rad(generator.uniform(-1, 1) * settings.rotation_degrees)
    scale = 1 + generator.uniform(-1, 1) * settings.scale
    stretch = 1 + generator.uniform(-1, 1) * settings.anisotropy
    mirror = -1 if generator.random() < settings.flip_probability else 1
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([mirror * scale * stretch, scale / stretch])
    centre = np.array([(columns - 1) / 2, (rows - 1) / 2])
    shift = centre - linear @ centre + generator.uniform(-1, 1, 2) * settings.shift_pixels
    across = np.arange(columns, dtype=np.float32)[None, window[1], None]
    down = np.arange(rows, dtype=np.float32)[window[0], None, None]
    affine = linear.astype(np.float32)
    places = across * affine[:, 0] + down * affine[:, 1] + shift.astype(np.float32)
    if settings.elastic_pixels:
        bend = generator.normal(size=(5, 5, 2)).astype(np.float32) * np.float32(settings.elastic_pixels)
        places += cv2.resize(bend, (columns, rows), interpolation=cv2.INTER_CUBIC)[window]
    background = float(image.min())
    warped = cv2.remap(image, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=background)

    def moved(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found = cv2.remap(
            mask.astype(np.float32), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
        )
        return np.asarray(found >= 0.5)

    marked = moved(label > 0).astype(np.float32)
    unknown = label < 0
    return warped, np.where(moved(unknown) & (marked == 0), np.float32(UNKNOWN), marked) if unknown.any() else marked


def _intensity(image: Image, settings: AugmentationSettings, generator: np.random.Generator) -> Image:
    rows, columns = image.shape
    low, high = float(image.min()), float(image.max())
    span = max(high - low, 1e-6)
    unit = (image - low) / span
    # Numbers of Python's, not NumPy's: those would make a double of every pixel.
    gamma = math.exp(generator.uniform(-1, 1) * settings.gamma)
    unit = np.power(np.clip(unit, 0, 1), gamma)
    field = generator.normal(size=(3, 3)).astype(np.float32) * settings.bias_field
    unit = unit * np.exp(cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC))
    image = unit * span + low
    if generator.random() < settings.blur_probability:
        image = cv2.GaussianBlur(image, (0, 0), generator.uniform(0.3, settings.blur_sigma))
    if generator.random() < settings.coarse_probability:
        image = _coarser(image, generator.uniform(settings.coarsest_resolution, 1))
    image = image * (1 + generator.uniform(-1, 1) * settings.contrast)
    image = image + generator.uniform(-1, 1) * settings.brightness
    noise = generator.standard_normal(image.shape, np.float32) * generator.uniform(0, settings.noise)
    return np.asarray(image + noise, np.float32)


def _coarser(image: Image, factor: float) -> Image:
    """The slice as a matrix of fewer pixels would have taken it, interpolated back."""
    rows, columns = image.shape
    small = cv2.resize(image, (round(columns * factor), round(rows * factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)
