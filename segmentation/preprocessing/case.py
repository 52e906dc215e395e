"""One FLAIR case through the whole preprocessing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.intensity import brain_mask, histogram_peak, normalise, scale_slices, to_uint8
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.volume import FlairVolume

FLAG_NO_HISTOGRAM_PEAK = "no_histogram_peak"
FLAG_BLANK_SLICES = "blank_slices"
FLAG_EMPTY_BRAIN_MASK = "empty_brain_mask"


@dataclass(frozen=True)
class PreprocessedCase:
    """The networks' input and the way back.

    Attributes:
        images: float32 (slice, size, size), mean 0 and SD 1 in the brain mask.
        brain_mask: bool, same shape.
        grid: native grid <-> square grid.
        flags: what was unusual, sorted.
    """

    images: NDArray[np.float32]
    brain_mask: NDArray[np.bool_]
    grid: SliceGrid
    flags: tuple[str, ...]


def preprocess(volume: FlairVolume, settings: PreprocessingSettings | None = None) -> PreprocessedCase:
    """Scale, resize, equalise, mask and normalise one case (paper, "Data Preprocessing"; docs/researcher/paper.md)."""
    settings = settings or PreprocessingSettings()
    flags: set[str] = set()
    rows, columns = volume.voxels.shape[1:]
    grid = SliceGrid((rows, columns), volume.spacing_mm[1:], settings.size)

    scaled = scale_slices(volume.voxels)
    if not scaled.any(axis=(1, 2)).all():
        flags.add(FLAG_BLANK_SLICES)
    grey = to_uint8(grid.to_square(scaled))
    peak = histogram_peak(grey, settings)
    if peak is None:
        flags.add(FLAG_NO_HISTOGRAM_PEAK)
    equalised = grey.astype(np.float32) * np.float32(settings.peak_target / peak if peak else 1.0)
    mask = brain_mask(equalised, settings.mask_threshold)
    if not mask.any():
        flags.add(FLAG_EMPTY_BRAIN_MASK)
    return PreprocessedCase(normalise(equalised, mask), mask, grid, tuple(sorted(flags)))
