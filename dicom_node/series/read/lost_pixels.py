"""Slices whose place is there and whose image is not: what a transfer or an export left blank, cut, or wrote twice."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.percentiles import percentile
from segmentation.volume import Stored, as_float

PIXELS_LOST: Final = "pixels_of_slices_lost"
"""Flag: a slice inside the stack is blank from some line on, or has the pixels of another slice."""

# What is cut off ends with the pixel data, in the last rows; a tenth of a slice may be a frame around it.
_LEAST_ROWS: Final = 0.1
# Rows that the slices beside show as head: so many of their pixels are above this part of the bright ones.
_HEAD_LEVEL: Final = 0.1
_HEAD_SHARE: Final = 0.05


def are_pixels_lost(voxels: Stored) -> bool:
    """Whether a slice lacks its image, or the end of it.

    No two slices of a scan have equal noise. The first and the last slice may be blank, or be cut by the field of view.

    Args:
        voxels: (slice, row, column), from feet to head.
    """
    blank_rows = np.array([_blank_rows(plane) for plane in voxels])
    seen = [
        hashlib.sha256(np.ascontiguousarray(plane).data).digest()
        for plane, rows in zip(voxels, blank_rows, strict=True)
        if rows < len(plane)
    ]
    return len(set(seen)) < len(seen) or _is_cut(voxels, blank_rows)


def _blank_rows(plane: NDArray[Any]) -> int:
    """How many of the last rows have one value, and the same."""
    differs = (plane != plane[-1, -1]).any(axis=1)
    return len(plane) - 1 - int(np.flatnonzero(differs)[-1]) if differs.any() else len(plane)


def _is_cut(voxels: Stored, blank_rows: NDArray[np.int_]) -> bool:
    bright = percentile(voxels, 99) - float(voxels.min())
    level = float(voxels.min()) + _HEAD_LEVEL * bright
    height = voxels.shape[1]
    for index in range(1, len(voxels) - 1):
        beside = max(blank_rows[index - 1], blank_rows[index + 1])
        if blank_rows[index] - beside < max(1, _LEAST_ROWS * height):
            continue
        rows = slice(height - blank_rows[index], height - beside)
        if all((as_float(voxels[other, rows]) > level).mean() > _HEAD_SHARE for other in (index - 1, index + 1)):
            return True
    return False
