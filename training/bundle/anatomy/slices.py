"""Slices for the anatomy network: images at its size, and for each part 1, 0, or -1 where the truth is not known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.anatomy import PARTS, anatomy_images
from segmentation.volume import FlairVolume
from training.data.cases import LabelledCase
from training.data.ignored import UNKNOWN
from training.synthesis.coded_head import Part
from training.synthesis.stream import read_scan

_PART_OF: Final = dict(zip(PARTS, Part, strict=True))
# Automatic brain masks of real scans take in muscle and sinuses at the skull base, where little of a slice is brain.
_TRUSTED_FROM: Final = 0.4
_FAR_PIXELS: Final = 6  # about a centimetre beyond such a mask there is no brain: jaw, neck, eyes


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class AnatomySlices:
    """Slices of one or many scans.

    Attributes:
        images: float16 (slice, size, size).
        labels: int8 (slice, size, size, part).
    """

    images: NDArray[np.float16]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.images)


def join(parts: list[AnatomySlices]) -> AnatomySlices:
    """One after the other."""
    return AnatomySlices(
        np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts])
    )


def of_drawn(path: Path, size: int) -> AnatomySlices:
    """A drawn scan (`training.synthesis.stream`), whose every part is known."""
    scan = read_scan(path)
    images, grid = anatomy_images(FlairVolume(scan.flair, scan.spacing_mm), size)
    bits = (grid.mask_to_square((scan.parts & _PART_OF[name].value) > 0) for name in PARTS)
    return AnatomySlices(images.astype(np.float16), np.stack(list(bits), axis=-1).astype(np.int8))


def of_real(case: LabelledCase, size: int, is_stripped: bool = False) -> AnatomySlices:
    """A real scan: its ventricles, and its brain mask in the slices that are mostly brain.

    In the others what is far from the mask is no brain; the rest is not known.
    """
    images, grid = anatomy_images(case.volume, size)
    labels = np.full((*images.shape, len(PARTS)), UNKNOWN, np.int8)
    brain = case.volume.voxels > 0 if is_stripped else case.brain
    if brain is not None:
        square = grid.mask_to_square(brain)
        areas = square.sum(axis=(1, 2))
        trusted = areas >= (0 if is_stripped else _TRUSTED_FROM * areas.max())
        labels[trusted, ..., 0] = square[trusted]
        labels[~trusted, ..., 0] = np.where(_far_from(square[~trusted]), 0, UNKNOWN)
    if case.ventricles is not None:
        labels[..., 1] = grid.mask_to_square(case.ventricles)
    return AnatomySlices(images.astype(np.float16), labels)


def _far_from(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of each slice far from the mask; (slice, row, column)."""
    if not len(mask):
        return mask
    return np.asarray(~ndimage.binary_dilation(mask, np.ones((1, 3, 3), bool), iterations=_FAR_PIXELS), bool)
