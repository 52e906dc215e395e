"""Where the skull is missing on one side: surgery, or a tumour that has grown through it.

Cortical bone and the fluid under it are dark on FLAIR and lie all around the brain. Going outwards from the brain, the
image is dark somewhere within 5 mm, unless the bone is gone: then brain or mass lies at the scalp.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.boxes import box_of
from segmentation.midline import Midline, Midplane
from segmentation.volume import FlairVolume

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

_SECTORS: Final = 72
_STEP_MM: Final = 1.5
_STEPS: Final = 3
_SMOOTH_MM: Final = 1.0
_GAUSSIAN_SDS: Final = 4  # how far SciPy's Gaussian filter looks
_BONE: Final = 0.5  # of the slice's median brain; bone and fluid are darker
_LEAST_DIFFERENCE: Final = 0.3  # from the other side: towards the vertex, thick slices cut the bone at an angle
_LARGE_PART: Final = 0.65  # of the largest slice
_MOST_INFRATENTORIAL: Final = 0.02  # of a slice: at the skull base lie muscle and sinuses
_APART_MM: Final = 5.0


def skull_gap_mm(volume: FlairVolume, brain: Mask, infratentorial: Mask) -> float:
    """How far no bone lies around the brain, on one side, in two slices that are neighbours or 5 mm apart.

    Args:
        volume: intensities.
        brain: bool (slice, row, column), by the anatomy network; not empty.
        infratentorial: the part of it that is.

    Returns:
        The width of the narrower of the two gaps, along the brain's edge; 0 where there are none. Images whose skull
        was removed have none: air is dark too.
    """
    areas = brain.sum(axis=(1, 2))
    below = infratentorial.sum(axis=(1, 2))
    chosen = np.flatnonzero((areas > _LARGE_PART * areas.max()) & (below < _MOST_INFRATENTORIAL * areas))
    step = max(1, round(_APART_MM / volume.spacing_mm[0]))
    volume, brain = _finer(volume, brain)
    lines = Midplane.of(brain, volume.spacing_mm).lines
    spacing = volume.spacing_mm[1:]
    gaps = [_gap_mm(volume.plane(index), brain[index], lines[index], spacing) for index in chosen[::step]]
    return max((min(pair) for pair in pairwise(gaps)), default=0.0)


def _finer(volume: FlairVolume, brain: Mask) -> tuple[FlairVolume, Mask]:
    """The same on pixels of at most one step: each step outwards must have some of its own."""
    parts = [math.ceil(spacing / _STEP_MM - 1e-6) for spacing in volume.spacing_mm[1:]]
    if max(parts) == 1:
        return volume, brain
    zoom = [1, *parts]
    voxels = ndimage.zoom(volume.voxels, zoom, order=1, mode="nearest", grid_mode=True)
    inside = ndimage.zoom(brain.astype(np.float32), zoom, order=1, mode="nearest", grid_mode=True) > 0.5
    row, column = (spacing / part for spacing, part in zip(volume.spacing_mm[1:], parts, strict=True))
    return FlairVolume(voxels, (volume.spacing_mm[0], row, column)), inside


def _gap_mm(pixels: NDArray[np.float32], inside: Mask, midline: Midline, spacing_mm: tuple[float, float]) -> float:
    """The longest such part of the brain's edge in one slice."""
    # What lies further out than the last step, and than the filter looks from there, decides nothing.
    margins = [
        math.ceil(_STEPS * _STEP_MM / spacing) + math.ceil(4 * _SMOOTH_MM / spacing) + 2 for spacing in spacing_mm
    ]
    box = box_of(inside, *margins)
    along, across = (places[box] for places in midline.places(inside.shape[:2]))
    pixels, inside = pixels[box], inside[box]
    turned = (np.arctan2(across, along) + np.pi) / (2 * np.pi)
    sectors = np.minimum((turned * _SECTORS).astype(np.int64), _SECTORS - 1)
    darkest = _darkest(pixels, inside, sectors, spacing_mm)
    # Sectors run symmetrically from the midline. A sector that the field of view cuts is NaN and compares to nothing.
    is_open = (darkest > _BONE) & (darkest - darkest[::-1] > _LEAST_DIFFERENCE)
    radii = _radii_mm(inside, sectors, np.hypot(along, across))
    return _longest(np.where(is_open, radii * 2 * np.pi / _SECTORS, 0.0))


def _darkest(
    pixels: NDArray[np.float32], inside: Mask, sectors: NDArray[np.int64], spacing_mm: tuple[float, float]
) -> Array:
    """In each sector the darkest of the steps outwards, the median brain = 1; NaN where a step has no pixel."""
    middle = float(np.median(pixels[inside]))
    calm = ndimage.gaussian_filter(pixels, [_SMOOTH_MM / spacing for spacing in spacing_mm]) / (middle or 1.0)
    steps = np.ceil(ndimage.distance_transform_edt(~inside, spacing_mm) / _STEP_MM).astype(np.int64)
    near = (steps >= 1) & (steps <= _STEPS)
    places = sectors[near] * _STEPS + steps[near] - 1
    counts = np.bincount(places, minlength=_SECTORS * _STEPS)
    sums = np.bincount(places, calm[near], minlength=_SECTORS * _STEPS)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return np.asarray(means.reshape(_SECTORS, _STEPS).min(axis=1))


def _radii_mm(inside: Mask, sectors: NDArray[np.int64], radius: Array) -> Array:
    """Distance of the brain's edge from its centre in each sector."""
    edge = inside & ~ndimage.binary_erosion(inside)
    counts = np.bincount(sectors[edge], minlength=_SECTORS)
    sums = np.bincount(sectors[edge], radius[edge], minlength=_SECTORS)
    return np.asarray(sums / np.maximum(counts, 1))


def _longest(lengths: Array) -> float:
    """The longest run of lengths above 0 on the ring, at most once around."""
    longest = run = 0.0
    for length in [*lengths, *lengths]:
        run = run + float(length) if length > 0 else 0.0
        longest = max(longest, run)
    return min(longest, float(lengths.sum()))
