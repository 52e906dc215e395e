"""Padding that no header declares: one value, far from all others, that fills a part of the images.

Programs that reslice, deface or export write a number of their own where nothing was scanned: -32768, -1024, 65535. A
scan's own values lie close to each other; a value that many voxels have and that is as far from the next one as half of
the scan's range is none of them.

And normalised scans without a skull (z-scores, of mean 0) have 0 outside the brain: a grey value in the middle of all
others. There the edge of the images shows what no signal looks like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.volume import Stored

# One hot pixel a slice is 0.002 %; a text burnt in, or the corners of a resliced image, more.
_LEAST_SHARE: Final = 0.002
_LEAST_GAP: Final = 0.5  # of the range of all other values but the most extreme 0.1 %
_TRIMMED_PERCENT: Final = 0.1
# A filler among the values: of nearly all pixels at the edges of the slices, of a part of all, with others below it.
_LEAST_SHARE_OF_EDGE: Final = 0.9
_LEAST_SHARE_INSIDE: Final = 0.2
_LEAST_BELOW: Final = 0.01


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class ValueCounts:
    """The values of a volume, counted slice by slice: they take a small part of its memory.

    Attributes:
        values: each once, ascending, finite.
        counts: how many voxels have it.
    """

    values: NDArray[Any]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, slices: Iterable[NDArray[Any]]) -> ValueCounts:
        """Of arrays of one type and any shape."""
        counted = [np.unique(plane, return_counts=True) for plane in slices]
        if not counted:
            return cls(np.empty(0), np.empty(0, np.int64))
        values, places = np.unique(np.concatenate([values for values, _ in counted]), return_inverse=True)
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, places, np.concatenate([counts for _, counts in counted]))
        return cls(values, counts)

    def percentile(self, percent: float) -> float:
        """By linear interpolation between ranks, as `numpy.percentile` gives it; not of no values."""
        above = np.cumsum(self.counts)
        position = (int(above[-1]) - 1) * (percent / 100)
        below = math.floor(position)
        ranks = (below, min(below + 1, int(above[-1]) - 1))
        lower, upper = (float(self.values[int(np.searchsorted(above, rank, side="right"))]) for rank in ranks)
        return lower + (upper - lower) * (position - below)

    def without(self, end: int) -> ValueCounts:
        """Without the first or the last value (0 or -1)."""
        kept = np.s_[1:] if end == 0 else np.s_[:-1]
        return ValueCounts(self.values[kept], self.counts[kept])


def undeclared_padding(slices: Iterable[NDArray[Any]]) -> tuple[float, ...]:
    """The values that are no signal: none, the lowest, the highest, or both.

    Args:
        slices: intensities of a whole volume, finite, in arrays of any shape.
    """
    found: list[float] = []
    counted = ValueCounts.of(slices)
    for _ in range(2):
        end = next((end for end in (0, -1) if _is_alone(counted, end)), None)
        if end is None:
            break
        found.append(float(counted.values[end]))
        counted = counted.without(end)
    return tuple(found)


def with_dark_filler(voxels: Stored) -> Stored | None:
    """The volume with its filler as the darkest value; None where no value fills the images outside the head, or where
    it is the darkest as it is.

    Where hardly anything lies below the filler, that is noise, and is raised to it; else the filler is lowered.

    Args:
        voxels: intensities (slice, row, column), finite.
    """
    edges = (voxels[:, 0], voxels[:, -1], voxels[:, :, 0], voxels[:, :, -1])
    counted = ValueCounts.of([np.concatenate([edge.ravel() for edge in edges])])
    most = int(counted.counts.argmax())
    filler = counted.values[most]
    if counted.counts[most] < _LEAST_SHARE_OF_EDGE * counted.counts.sum() or voxels.min() == filler:
        return None
    fills, lies_below = float((voxels == filler).mean()), float((voxels < filler).mean())
    if fills < _LEAST_SHARE_INSIDE:
        return None
    is_noise_below = lies_below < _LEAST_BELOW * (1 - fills)
    darkened: Stored = (
        np.maximum(voxels, filler) if is_noise_below else np.where(voxels == filler, voxels.min(), voxels)
    )
    return darkened


def _is_alone(counted: ValueCounts, end: int) -> bool:
    """Many voxels have this value, and the next one is far away."""
    rest = counted.without(end)
    if not rest.values.size or counted.counts[end] < _LEAST_SHARE * counted.counts.sum():
        return False
    low, high = (rest.percentile(percent) for percent in (_TRIMMED_PERCENT, 100 - _TRIMMED_PERCENT))
    gap = abs(float(rest.values[end]) - float(counted.values[end]))
    return gap > _LEAST_GAP * (high - low) > 0
