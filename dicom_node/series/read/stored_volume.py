"""The intensities of a series, filled slice by slice: whole numbers of 16 bits while these say the same, or float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.volume import Stored, as_float


class StoredVolume:
    """Takes float32 slices with NaN where there is padding. That is no signal: it counts as the darkest that was
    scanned, whatever value marks it.

    Args:
        shape: (slice, row, column).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._stored: Stored = np.zeros(shape, np.uint16)
        self._holes: dict[int, NDArray[np.bool_]] = {}
        self._darkest = np.float32(np.inf)

    def put(self, index: int, plane: NDArray[np.float32]) -> None:
        """One slice."""
        holes = np.isnan(plane)
        if holes.any():
            self._holes[index] = holes
            signal = plane[~holes]
            if not signal.size:
                return
            plane = np.where(holes, signal[0], plane)
        self._darkest = min(self._darkest, plane.min())
        self._make_room(plane)
        self._stored[index] = plane

    def whole(self) -> Stored:
        """All slices."""
        for index, holes in self._holes.items():
            self._stored[index][holes] = self._darkest
        return self._stored

    def _make_room(self, plane: NDArray[np.float32]) -> None:
        """Another type, if the present one cannot say what the slice says."""
        if self._stored.dtype == np.float32:
            return
        low, high = plane.min(), plane.max()
        is_whole = np.array_equal(np.rint(plane), plane)
        if is_whole and _fits(low, high, self._stored.dtype):
            return
        if is_whole and _fits(low, high, np.dtype(np.int16)) and self._stored.max() <= np.iinfo(np.int16).max:
            self._stored = self._stored.view(np.int16)  # what is there has the same bits in both
            return
        self._stored = as_float(self._stored)


def _fits(low: np.float32, high: np.float32, kind: np.dtype[Any]) -> bool:
    return bool(np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
