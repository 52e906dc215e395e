"""The ensemble's mean probability of a volume, kept as the networks gave it and mapped back slice by slice.

On the native grid it is as large as the volume itself, 367 MB for 350 slices of 512 x 512; on the networks' it is a
quarter of that, and most readers look at one slice after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.boxed import BoxedMask
from segmentation.boxes import Box
from segmentation.preprocessing.slice_grid import SliceGrid


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class ProbabilityMap:
    """Mean probability of a volume.

    Attributes:
        mean: float32 (slice, row, column) in 0..1, on the square grid.
        grid: leads to the native grid; None where `mean` is on it.
        brain: bool (slice, row, column), native grid; outside it the probability is 0. None: it holds everywhere.
        box: the part of the square grid that `mean` has; None: all of it.
    """

    mean: NDArray[np.float32]
    grid: SliceGrid | None = None
    brain: NDArray[np.bool_] | BoxedMask | None = None
    box: Box | None = None

    def __len__(self) -> int:
        """Slices."""
        return len(self.mean if self.box is None or self.brain is None else self.brain)

    def cut(self) -> ProbabilityMap:
        """The same in the brain, without what lies far from it."""
        if self.box is not None or self.grid is None or not isinstance(self.brain, np.ndarray):
            return self
        brain = BoxedMask.of(self.brain)
        box = (brain.box[0], *self.grid.around(*brain.box[1:]))
        return ProbabilityMap(self.mean[box].copy(), self.grid, brain, box)

    def anywhere(self, index: int) -> NDArray[np.float32]:
        """One slice (row, column) on the native grid, also outside the brain, where a map that was cut has no say."""
        plane = self.mean[index : index + 1] if self.box is None else self._padded(index, self.box)
        return np.asarray((plane if self.grid is None else self.grid.to_native(plane))[0], np.float32)

    def inside(self, index: int, anywhere: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """One slice (row, column) on the native grid; of `anywhere`, where the caller has that already."""
        plane = self.anywhere(index) if anywhere is None else anywhere
        return plane if self.brain is None else np.where(self.brain[index], plane, np.float32(0.0))

    def _padded(self, index: int, box: Box) -> NDArray[np.float32]:
        """One slice of a map that was cut, with 0 where nothing is kept."""
        assert self.grid is not None
        plane = np.zeros((1, self.grid.size, self.grid.size), np.float32)
        place = index - box[0].start
        if 0 <= place < len(self.mean):
            plane[0][box[1:]] = self.mean[place]
        return plane

    def whole(self) -> NDArray[np.float32]:
        """All slices: (slice, row, column), native grid."""
        first = self.inside(0)
        found = np.empty((len(self), *first.shape), np.float32)
        found[0] = first
        for index in range(1, len(self)):
            found[index] = self.inside(index)
        return found
