"""Where the white matter is abnormal, by the definition `all`: caps, rims, confluent and deep vascular patterns, MS.

Everything that STRIVE calls white matter hyperintensity is drawn and labelled, whatever caused it. Infarcts, lacunes,
flow and faint halos are drawn and are no WMH.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.synthesis.coded_head import STEPS_PER_MM, CodedHead, Extra
from training.synthesis.fields import smooth_field
from training.synthesis.lesions import LARGEST_SINGLE_VOXELS, MNI_CEREBRUM, LesionLibrary
from training.synthesis.tissues import Tissue

Generator = np.random.Generator
Codes = NDArray[np.uint8]

CLASSES: Final = 4
"""Lesions of one scan differ in brightness: each voxel has a class from 1 to CLASSES, 0 is none."""
_SEPTUM_MM: Final = 5
_ROOMS: Final = (Tissue.CORTEX, Tissue.WHITE_MATTER, Tissue.DEEP_GREY)


def draw_patterns(head: CodedHead, library: LesionLibrary, generator: Generator) -> Codes:
    """Lesion classes uint8 on the head's grid; one scan in fifteen has none."""
    lesion = np.zeros(head.tissue.shape, np.uint8)
    if generator.random() < 1 / 15:
        return lesion
    vascular = generator.random() < 0.6
    if generator.random() < 0.35:
        lesion[head.lesions] = _class(generator)
    if vascular:
        _periventricular(lesion, head, generator)
        if generator.random() < 0.55:
            _confluent_deep(lesion, head, generator)
    elif generator.random() < 0.7:
        _stamp(lesion, head, library.patients.shape(int(generator.integers(len(library.patients)))), 5.0, generator)
    if generator.random() < 0.5:
        for _ in range(int(generator.integers(1, 25))):
            shape = library.singles.shape(int(generator.integers(len(library.singles))))
            if len(shape) <= LARGEST_SINGLE_VOXELS:
                _stamp(lesion, head, shape, 10.0, generator)
    if generator.random() < 0.75:
        _spots(lesion, head, generator)
    allowed = head.tissue == Tissue.WHITE_MATTER
    if generator.random() < 0.3:  # pons and deep grey matter have vascular lesions too
        allowed |= np.isin(head.tissue, (Tissue.BRAINSTEM, Tissue.DEEP_GREY))
    lesion[~allowed] = 0
    return lesion


def draw_confounders(tissue: Codes, lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """Write what is no WMH into a copy of the head's tissue: flow, infarcts, lacunes, halos. Lesions give way."""
    if generator.random() < 0.45:
        patches = smooth_field(tissue[head.box].shape, (8, 8, 8), generator) > generator.uniform(1.0, 2.0)
        part = tissue[head.box]
        part[patches & np.isin(part, (Tissue.CSF, Tissue.VENTRICLE))] = Extra.FLOW
    if generator.random() < 0.35:
        _halo(tissue, lesion, head, generator)
    if generator.random() < 0.4:
        for _ in range(int(generator.integers(1, 3))):
            _infarct(tissue, lesion, head, generator)
    if generator.random() < 0.45:
        _lacunes(tissue, lesion, head, generator)


def _class(generator: Generator) -> int:
    return int(generator.integers(1, CLASSES + 1))


def _periventricular(lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """From a thin rim (Fazekas 1) to bands far into the white matter (Fazekas 3), much alike on both sides."""
    part, steps = lesion[head.box], head.ventricle_steps[head.box]
    grade = generator.choice(3, p=(0.3, 0.35, 0.35))
    mean = (generator.uniform(0.4, 2.0), generator.uniform(2.0, 6.0), generator.uniform(5.0, 14.0))[grade]
    field = _nearly_symmetric(part.shape, (7, 9, 7), generator)
    reach = mean * (1 + generator.uniform(0.2, 0.7) * field) + _caps(part.shape, generator)
    near = (steps > 0) & (steps < np.clip(reach * STEPS_PER_MM, 0, 250))
    if grade < 2 or generator.random() < 0.5:
        middle = part.shape[0] // 2
        near[middle - _SEPTUM_MM : middle + _SEPTUM_MM + 1] = False
    part[near] = _class(generator)
    if grade and generator.random() < 0.6:  # the outer part is often fainter
        outer = near & (steps > 0.6 * reach * STEPS_PER_MM)
        part[outer] = max(1, _class(generator) - 1)


def _caps(shape: tuple[int, ...], generator: Generator) -> NDArray[np.float32]:
    """More of it at the frontal and occipital horns."""
    place = np.abs(np.linspace(-1, 1, shape[1], dtype=np.float32))
    return np.asarray(generator.uniform(0, 5) * np.clip(place * 2.5 - 0.6, 0, 1)[None, :, None], np.float32)


def _confluent_deep(lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """Patches of centrum semiovale and corona radiata that melt into each other and into the bands."""
    part, steps = lesion[head.box], head.ventricle_steps[head.box].astype(np.float32) / STEPS_PER_MM
    knots = tuple(int(k) for k in generator.integers(7, 16, 3))
    field = _nearly_symmetric(part.shape, knots, generator)
    limit = generator.uniform(0.6, 2.0) + steps * generator.uniform(0.0, 0.06)
    patches = (field > limit) & (part == 0)
    part[patches] = _class(generator)


def _nearly_symmetric(shape: tuple[int, ...], knots: tuple[int, ...], generator: Generator) -> NDArray[np.float32]:
    field = smooth_field(shape, knots, generator)
    alike = generator.uniform(0.2, 0.9)
    mixed = (1 - alike) * field + alike * field[::-1]
    return np.asarray(mixed / np.sqrt((1 - alike) ** 2 + alike**2), np.float32)


def _stamp(lesion: Codes, head: CodedHead, shape: NDArray[np.int16], jitter_mm: float, generator: Generator) -> None:
    """Set the voxels of one shape, its cerebrum stretched onto the head's."""
    sides = np.diff(head.cerebrum, axis=1)[:, 0] / np.diff(MNI_CEREBRUM, axis=1)[:, 0]
    relative = shape.astype(np.float32) - MNI_CEREBRUM[:, 0]
    if generator.random() < 0.5:
        relative[:, 0] = np.diff(MNI_CEREBRUM[0])[0] - relative[:, 0]
    places = relative * sides + head.cerebrum[:, 0] + generator.normal(size=3) * jitter_mm / 2
    level = _class(generator)
    for step in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        index = np.rint(places + np.array(step) * 0.6).astype(int)
        inside = ((index >= 0) & (index < lesion.shape)).all(axis=1)
        lesion[tuple(index[inside].T)] = level


def _spots(lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """Rounded lesions of 2 to 12 mm."""
    for centre in _places(head, (Tissue.WHITE_MATTER,), int(generator.integers(1, 40)), generator):
        radii = np.exp(generator.uniform(np.log(1.3), np.log(6.5))) * generator.uniform(0.7, 1.4, 3)
        window, axes = _window(centre, 10, lesion.shape)
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii, strict=True)) < 1
        lesion[window][inside] = _class(generator)


def _halo(tissue: Codes, lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """ "Dirty" white matter around lesions, which no reader marks."""
    part = lesion[head.box] > 0
    grown = ndimage.binary_dilation(part, iterations=int(generator.integers(1, 4)))
    where = tissue[head.box]
    where[grown & ~part & (where == Tissue.WHITE_MATTER)] = Extra.HALO


def _infarct(tissue: Codes, lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """Cortex and the white matter under it, or a deep one; bright (recent), or a cavity with a bright rim (old).

    Often it lies beside WMH, as bright as that: what was WMH under it is infarct now.
    """
    home = (Tissue.CORTEX,) if generator.random() < 0.7 else (Tissue.WHITE_MATTER, Tissue.DEEP_GREY)
    for centre in _places(head, home, 1, generator):
        window, axes = _window(centre, 40, tissue.shape)
        stretch = generator.uniform(0.6, 1.5, 3)
        distance = np.sqrt(sum(((axis - c) / s) ** 2 for axis, c, s in zip(axes, centre, stretch, strict=True)))
        radius = generator.uniform(4, 26) if home[0] == Tissue.CORTEX else generator.uniform(3, 10)
        edge = radius * (1 + 0.2 * smooth_field(distance.shape, (6, 6, 6), generator))
        part = tissue[window]
        inside = (distance < edge) & np.isin(part, (*_ROOMS, Extra.HALO))
        part[inside] = Extra.INFARCT
        lesion[window][inside] = 0
        if generator.random() < 0.4:
            core = inside & (distance < edge - generator.uniform(1.5, 5.0))
            part[inside] = Extra.RIM_OF_CAVITY
            part[core] = Extra.CAVITY


def _lacunes(tissue: Codes, lesion: Codes, head: CodedHead, generator: Generator) -> None:
    """Fluid-filled holes of 3 to 15 mm in deep tissue, often with a bright rim, and wide perivascular spaces."""
    homes = (Tissue.DEEP_GREY, Tissue.WHITE_MATTER)
    for centre in _places(head, homes, int(generator.integers(1, 8)), generator):
        radius = generator.uniform(0.9, 4.5)
        window, axes = _window(centre, 9, tissue.shape)
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
        if generator.random() < 0.5:
            tissue[window][distance < radius + 1.2] = Extra.RIM_OF_CAVITY
        tissue[window][distance < radius] = Extra.CAVITY
        lesion[window][distance < radius] = 0


def _places(head: CodedHead, homes: tuple[int, ...], count: int, generator: Generator) -> NDArray[np.int64]:
    """Random voxels (count, 3) of these tissues, by trial: the box holds enough of each."""
    low, high = head.cerebrum[:, 0], head.cerebrum[:, 1] + 1
    trials = generator.integers(low, high, (count * 60 + 200, 3))
    fits = np.isin(head.tissue[tuple(trials.T)], homes)
    return trials[fits][:count]


def _window(centre: NDArray[np.int64], reach: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return window, np.ogrid[window]
