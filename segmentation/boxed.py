"""A mask of a volume without the empty rest around it: of 350 slices of 512 x 512 some 10 MB in place of 92."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.boxes import Box, box_of

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class BoxedMask:
    """A mask, slice after slice.

    Attributes:
        shape: (slice, row, column) of the volume.
        box: outside it nothing is marked.
        inside: bool: what is marked in it.
    """

    shape: tuple[int, int, int]
    box: Box
    inside: Mask

    @classmethod
    def of(cls, mask: Mask) -> BoxedMask:
        """A copy of the part of a mask (slice, row, column) that holds what it marks."""
        slices, rows, columns = mask.shape
        box = box_of(mask)
        return cls((slices, rows, columns), box, mask[box].copy())

    def tight(self) -> BoxedMask:
        """The same in the least box; a copy."""
        least = box_of(self.inside)
        box = tuple(
            slice(all_of.start + part.start, all_of.start + part.stop)
            for all_of, part in zip(self.box, least, strict=True)
        )
        return BoxedMask(self.shape, box, self.inside[least].copy())

    def __len__(self) -> int:
        """Slices."""
        return self.shape[0]

    def __getitem__(self, index: int) -> Mask:
        """One slice, (row, column)."""
        if not 0 <= index < len(self):
            raise IndexError(f"expected a slice of {len(self)}, got {index}")
        plane = np.zeros(self.shape[1:], bool)
        place = index - self.box[0].start
        if 0 <= place < len(self.inside):
            plane[self.box[1:]] = self.inside[place]
        return plane

    def __iter__(self) -> Iterator[Mask]:
        """Every slice."""
        return (self[index] for index in range(len(self)))

    def any(self) -> bool:
        """Whether anything is marked."""
        return bool(self.inside.any())

    def whole(self) -> Mask:
        """All of it: bool (slice, row, column)."""
        mask = np.zeros(self.shape, bool)
        mask[self.box] = self.inside
        return mask

    def without(self, other: BoxedMask) -> BoxedMask:
        """What another mask of the same volume does not mark."""
        inside = self.inside.copy()
        for place in range(len(inside)):
            inside[place] &= ~other[self.box[0].start + place][self.box[1:]]
        return BoxedMask(self.shape, self.box, inside)
