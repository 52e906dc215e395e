"""The ensemble's mean probability of a volume, kept as the networks gave it and mapped back slice by slice.

On the native grid it is as large as the volume itself, 367 MB for 350 slices of 512 x 512; on the networks' it is a
quarter of that, and most readers look at one slice after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.slice_grid import SliceGrid


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class ProbabilityMap:
    """Mean probability of a volume.

    Attributes:
        mean: float32 (slice, row, column) in 0..1, on the square grid.
        grid: leads to the native grid; None where `mean` is on it.
        brain: bool (slice, row, column), native grid; outside it the probability is 0. None: it holds everywhere.
    """

    mean: NDArray[np.float32]
    grid: SliceGrid | None = None
    brain: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """Slices."""
        return len(self.mean)

    def anywhere(self, index: int) -> NDArray[np.float32]:
        """One slice (row, column) on the native grid, also outside the brain."""
        plane = self.mean[index : index + 1]
        return np.asarray((plane if self.grid is None else self.grid.to_native(plane))[0], np.float32)

    def inside(self, index: int, anywhere: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """One slice (row, column) on the native grid; of `anywhere`, where the caller has that already."""
        plane = self.anywhere(index) if anywhere is None else anywhere
        return plane if self.brain is None else np.where(self.brain[index], plane, np.float32(0.0))

    def whole(self) -> NDArray[np.float32]:
        """All slices: (slice, row, column), native grid."""
        first = self.inside(0)
        found = np.empty((len(self), *first.shape), np.float32)
        found[0] = first
        for index in range(1, len(self)):
            found[index] = self.inside(index)
        return found
