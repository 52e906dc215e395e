"""The part of a volume that holds what was marked: labels and distances of the rest need neither memory nor time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]


def box_of(mask: NDArray[np.bool_], *margin: int) -> Box:
    """The least box that holds every marked place, empty where there is none.

    Args:
        mask: bool, of any number of axes.
        margin: places more on both sides of each axis, as far as the array goes; none where left out.
    """
    wider = margin or (0,) * mask.ndim
    box = []
    for axis, more in enumerate(wider):
        marked = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not marked.size:
            return (slice(0, 0),) * mask.ndim
        box.append(slice(max(int(marked[0]) - more, 0), min(int(marked[-1]) + 1 + more, mask.shape[axis])))
    return tuple(box)


def sizes_of(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Voxels of each label from 0 to `count`; slice by slice, since `numpy.bincount` copies to wider numbers."""
    sizes = np.zeros(count + 1, np.int64)
    for plane in labels:
        sizes += np.bincount(plane.ravel(), minlength=count + 1)
    return sizes


def within_mm(plane: NDArray[np.bool_], by_mm: float, spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """What lies in one slice within a distance of a marked pixel; the same as by a Euclidean distance transform, and
    for distances of a few pixels many times as fast.

    Args:
        plane: bool (row, column).
        by_mm: from centre to centre.
        spacing_mm: of rows and of columns.
    """
    (rows_mm, columns_mm), (rows, columns) = spacing_mm, plane.shape
    found = plane.copy()
    for down in range(min(int(by_mm / rows_mm) + 1, rows - 1) + 1):
        for right in range(min(int(by_mm / columns_mm) + 1, columns - 1) + 1):
            if math.sqrt((down * rows_mm) ** 2 + (right * columns_mm) ** 2) > by_mm:
                continue
            top, bottom = slice(None, rows - down), slice(down, None)
            left, far = slice(None, columns - right), slice(right, None)
            found[bottom, far] |= plane[top, left]
            found[top, left] |= plane[bottom, far]
            found[bottom, left] |= plane[top, far]
            found[top, far] |= plane[bottom, left]
    return found
