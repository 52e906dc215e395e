"""One FLAIR case through the whole preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.brain import brain_mask as find_brain_mask
from segmentation.percentiles import percentile
from segmentation.preprocessing.intensity import brain_mask, histogram_peak, normalise, scale_slices, to_uint8
from segmentation.preprocessing.masked import clipped_to_brain, masked_images
from segmentation.preprocessing.robust import brain_level, scale_by_brain
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.volume import FlairVolume, Stored, as_float

FLAG_NO_HISTOGRAM_PEAK = "no_histogram_peak"
FLAG_BLANK_SLICES = "blank_slices"
FLAG_EMPTY_BRAIN_MASK = "empty_brain_mask"
FLAG_EXTREME_PIXELS = "extreme_pixels"

# Real scans at hand, of five scanners, have a maximum of 1.2 to 2.2 times their 99.9th percentile.
_HIGH_PERCENTILE: Final = 99.9
_EXTREME_TIMES: Final = 3.0


@dataclass(frozen=True)
class PreprocessedCase:
    """The networks' input and the way back.

    Attributes:
        images: float32 (slice, size, size), mean 0 and SD 1 in the brain mask (about so by the scale `brain-alone`).
        brain_mask: bool, same shape.
        grid: native grid <-> square grid.
        flags: what was unusual, sorted.
    """

    images: NDArray[np.float32]
    brain_mask: NDArray[np.bool_]
    grid: SliceGrid
    flags: tuple[str, ...]


def preprocess(
    volume: FlairVolume, settings: PreprocessingSettings | None = None, brain: NDArray[np.bool_] | None = None
) -> PreprocessedCase:
    """Scale, resize, equalise, mask and normalise one case (paper, "Data Preprocessing"; docs/researcher/paper.md).

    Args:
        volume: native intensities.
        settings: how.
        brain: bool (slice, row, column), native grid; asked for by the scale `brain-alone` only, which finds it by
            `segmentation.brain` where it is None.
    """
    settings = settings or PreprocessingSettings()
    flags: set[str] = set()
    rows, columns = volume.shape[1:]
    grid = SliceGrid((rows, columns), volume.spacing_mm[1:], settings.size)

    if not (volume.stored.max(axis=(1, 2)) > 0).all():
        flags.add(FLAG_BLANK_SLICES)
    if has_extreme_pixels(volume.stored):
        flags.add(FLAG_EXTREME_PIXELS)
    if settings.scale == "brain-alone":
        native = find_brain_mask(volume) if brain is None else brain
        mask = grid.mask_to_square(native)
        pixels = grid.to_square(volume.stored, clipped_to_brain(volume, native))
        images = masked_images(pixels, mask, grid.pixel_mm)
    else:
        grey = _GREY_BY_SCALE[settings.scale](volume.stored, grid, settings, flags)
        mask = brain_mask(grey, settings.mask_threshold)
        images = normalise(grey, mask)
    if not mask.any():
        flags.add(FLAG_EMPTY_BRAIN_MASK)
    return PreprocessedCase(images, mask, grid, tuple(sorted(flags)))


def has_extreme_pixels(voxels: Stored) -> bool:
    """Whether the maximum lies far above the 99.9th percentile: no tissue does, a hot pixel or burnt-in text may."""
    high = percentile(voxels, _HIGH_PERCENTILE)
    return high > 0 and float(voxels.max()) > _EXTREME_TIMES * high


def _grey_by_slices(
    voxels: Stored, grid: SliceGrid, settings: PreprocessingSettings, flags: set[str]
) -> NDArray[np.float32]:
    grey = to_uint8(grid.to_square(scale_slices(as_float(voxels))))
    peak = histogram_peak(grey, settings)
    if peak is None:
        flags.add(FLAG_NO_HISTOGRAM_PEAK)
    return grey.astype(np.float32) * np.float32(settings.peak_target / peak if peak else 1.0)


def _grey_by_brain(
    voxels: Stored, grid: SliceGrid, settings: PreprocessingSettings, flags: set[str]
) -> NDArray[np.float32]:
    level = brain_level(voxels)
    if level is None:
        flags.add(FLAG_NO_HISTOGRAM_PEAK)
        return np.zeros((len(voxels), settings.size, settings.size), np.float32)
    prepare = scale_by_brain(voxels, level, settings.peak_target, settings.clip)
    # Cubic interpolation overshoots at the edges that clipping made.
    grey = grid.to_square(voxels, prepare)
    return np.clip(grey, 0, np.float32(settings.clip * settings.peak_target), out=grey)


_GREY_BY_SCALE: Final = {"slice-maximum": _grey_by_slices, "brain-level": _grey_by_brain}
