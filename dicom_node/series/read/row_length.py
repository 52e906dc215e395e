"""Do Rows and Columns describe the image that PixelData holds?

Two numbers that multiply to the right length may still be wrong (128 x 32 for 64 x 64), and the image is then cut into
other lines: something that is no head, and that a network may find lesions in. In an image, a pixel resembles the one
below it more than one elsewhere in the row. So of the stored pixels, one after the other, those that are a row apart
resemble each other more than those that are half a row or two rows apart; where it is the other way round, the length
of the row is wrong.

Measured (unlikeness at a quarter, half, two and four rows, the least, over that at one row): 21 real FLAIR of five
scanners 2.1 to 3.1; the same with rows of half or twice their length 0.48 or less.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dicom_node.node.errors import UnreadableObject
from segmentation.volume import Stored

_FACTORS: Final = (0.25, 0.5, 2.0, 4.0)
_LEAST: Final = 0.9
_MOST_SLICES: Final = 24  # so that thin slices cost no more than thick ones


def require_row_length(voxels: Stored) -> None:
    """Refuse images whose rows have another length than Columns says.

    Args:
        voxels: (slice, row, column).

    Raises:
        UnreadableObject: the pixels belong to rows of another length.
    """
    voxels, columns = voxels[:: max(1, len(voxels) // _MOST_SLICES)], voxels.shape[2]
    lengths = [round(columns * factor) for factor in _FACTORS if (columns * factor).is_integer()]
    unlike = {length: _unlikeness(voxels, length) for length in lengths}
    likely = min(unlike, key=lambda length: unlike[length])
    if unlike[likely] < _LEAST * _unlikeness(voxels, columns):
        raise UnreadableObject(
            "row_length_contradicts",
            f"Rows x Columns is {voxels.shape[1]} x {columns}, and the pixels of PixelData look like rows of "
            f"{likely}; the header describes another image. Send the series as acquired.",
        )


def _unlikeness(voxels: Stored, length: int) -> float:
    """1 minus the correlation of pixels that are `length` apart in their slice's storage; infinite without any.

    Summed slice by slice: all pairs at once would take ten times the memory of the slices.
    """
    if not 1 < length < voxels[0].size:
        return np.inf
    middle = float(voxels.mean(dtype=np.float64))  # so that the squares stay small
    count, sums, products = 0, np.zeros(2), np.zeros((2, 2))
    for plane in voxels:
        pixels = plane.ravel() - np.float64(middle)
        pairs = np.stack([pixels[:-length], pixels[length:]])
        count += pairs.shape[1]
        sums += pairs.sum(axis=1)
        products += pairs @ pairs.T
    spread = products - np.outer(sums, sums) / count
    if spread[0, 0] <= 0 or spread[1, 1] <= 0:
        return np.inf
    return float(1 - spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]))
