"""Where things are in the head: brain, ventricles, infratentorial, left, cortex, by one small network.

Its images are half as fine as the members' and of the whole volume in one scale (`segmentation.preprocessing.robust`):
coarse pixels let it see far enough to know a jaw from a cerebellum. It says for each pixel how likely each part is; the
parts overlap (ventricles lie in the brain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.boxes import Box, box_of, sizes_of, within_mm
from segmentation.preprocessing.robust import brain_level, scale_by_brain
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.volume import FlairVolume

PARTS: Final = ("brain", "ventricles", "infratentorial", "left", "cortex")
"""What the network's outputs are, in this order. `left` is not used: a network of convolutions says the same of both
halves (0.78 on average); the side comes from `segmentation.midline`."""

CLIP: Final = 2.5
PART_THRESHOLD: Final = 0.5
"""Probability at or above which a voxel is of a part."""

_BRIDGE_MM: Final = 5.0  # what is thinner in a slice is no brain of its own: muscle, sinuses, dura
_LEAST_BRAIN_PART: Final = 0.05
_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Anatomy:
    """Parts of the head on the native grid; each part is made when it is asked for.

    Attributes:
        shape: (slice, row, column) of the volume.
        box: outside it nothing is marked.
        marks: uint8, the box: bit n is the part n of `PARTS`.
    """

    shape: tuple[int, ...]
    box: Box
    marks: NDArray[np.uint8]

    @classmethod
    def of(cls, *parts: NDArray[np.bool_]) -> Anatomy:
        """Of the masks of all parts, bool (slice, row, column), in the order of `PARTS`."""
        marks = np.zeros(parts[0].shape, np.uint8)
        for number, part in enumerate(parts):
            marks |= part.view(np.uint8) << np.uint8(number)
        box = box_of(marks > 0)
        return cls(marks.shape, box, marks[box].copy())

    @property
    def brain(self) -> NDArray[np.bool_]:
        """All inside the brain's surface, sulci and ventricles with it; bool (slice, row, column), as all parts."""
        return self._part(0)

    @property
    def ventricles(self) -> NDArray[np.bool_]:
        """The fluid in them and the plexus."""
        return self._part(1)

    @property
    def infratentorial(self) -> NDArray[np.bool_]:
        """Cerebellum and brainstem."""
        return self._part(2)

    @property
    def cortex(self) -> NDArray[np.bool_]:
        """The band of the cortex."""
        return self._part(4)

    def within(self, box: Box) -> Anatomy:
        """The same in a part of the volume."""
        part = np.zeros([end.stop - end.start for end in box], np.uint8)
        here = tuple(_overlap(mine, wanted) for mine, wanted in zip(self.box, box, strict=True))
        part[tuple(there for _, there in here)] = self.marks[tuple(mine for mine, _ in here)]
        return Anatomy(part.shape, tuple(slice(0, length) for length in part.shape), part)

    def _part(self, number: int) -> NDArray[np.bool_]:
        found = self.marks >> np.uint8(number)
        found &= np.uint8(1)
        if found.shape == self.shape:
            return found.view(np.bool_)
        part = np.zeros(self.shape, bool)
        part[self.box] = found
        return part


def _overlap(mine: slice, wanted: slice) -> tuple[slice, slice]:
    """What two parts of one axis have in common, as seen in each of them."""
    start = max(mine.start, wanted.start)
    stop = max(min(mine.stop, wanted.stop), start)
    return slice(start - mine.start, stop - mine.start), slice(start - wanted.start, stop - wanted.start)


def anatomy_images(volume: FlairVolume, size: int) -> tuple[NDArray[np.float32], SliceGrid]:
    """The anatomy network's input, float32 (slice, size, size): brain about 0, air -1, clipped at 1.5.

    Args:
        volume: native intensities.
        size: rows and columns of the network.

    Returns:
        The images and the grid that leads back; images of -1 where the volume has no signal.
    """
    rows, columns = volume.shape[1:]
    grid = SliceGrid((rows, columns), volume.spacing_mm[1:], size)
    level = brain_level(volume.stored)
    if level is None:
        return np.full((volume.shape[0], size, size), -1, np.float32), grid
    grey = grid.to_square(volume.stored, scale_by_brain(volume.stored, level, 1.0, CLIP))
    return np.clip(grey, 0, CLIP, out=grey) - np.float32(1), grid


def anatomy_of(probabilities: NDArray[np.float32], grid: SliceGrid) -> Anatomy:
    """The parts on the native grid; what is no brain is none of the others.

    Args:
        probabilities: float32 (part, slice, row, column) on the square grid, parts as in `PARTS`.
        grid: of `anatomy_images`.
    """
    brain = clean_brain(grid.to_native_mask(probabilities[0], PART_THRESHOLD), grid.spacing_mm)
    box = box_of(brain)
    inside = brain[box]
    marks = inside.view(np.uint8).copy() if inside.size else np.zeros((0, 0, 0), np.uint8)
    for number, probability in enumerate(probabilities[1:], start=1):
        for place, index in enumerate(range(box[0].start, box[0].stop)):
            part = grid.to_native_mask(probability[index : index + 1], PART_THRESHOLD)[0][box[1:]] & inside[place]
            marks[place] |= part.view(np.uint8) << np.uint8(number)
    return Anatomy(brain.shape, box, marks)


def clean_brain(mask: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """The largest body (26-connected) and others of at least a twentieth of it, holes of each slice filled.

    A morphological opening within each slice separates the bodies: it removes thin connections to muscle and sinuses.

    Args:
        mask: bool (slice, row, column), native grid.
        spacing_mm: of rows and of columns.
    """
    opened = np.zeros(mask.shape, bool)
    for plane, out in zip(mask, opened, strict=True):
        box = box_of(plane, 1, 1)  # the nearest that is not marked lies in it
        if plane[box].size:
            # The field of view ends nothing: beyond it lies no edge.
            core = plane[box] & ~within_mm(~plane[box], _BRIDGE_MM / 2, spacing_mm)
            out[box] = within_mm(core, _BRIDGE_MM / 2, spacing_mm) & plane[box]
    kept = _largest_bodies(opened)
    # A pixel more: the corners that the opening cut come back.
    for plane, out in zip(mask, kept, strict=True):
        box = box_of(out, *(int(max(spacing_mm) / step) + 1 for step in spacing_mm))
        if out[box].size:
            whole = plane[box] & within_mm(out[box], max(spacing_mm), spacing_mm)
            inner = box_of(whole)
            whole[inner] = ndimage.binary_fill_holes(whole[inner])
            out[box] = whole
    return kept


def _largest_bodies(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest body and others of at least a twentieth of it; in place."""
    box = box_of(mask)
    labels, count = ndimage.label(mask[box], structure=_NEIGHBOURS)
    if count:
        sizes = sizes_of(labels, count)
        sizes[0] = 0
        mask[box] = (sizes >= max(1.0, _LEAST_BRAIN_PART * sizes.max()))[labels]
    return mask
