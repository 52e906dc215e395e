"""The part of a volume that holds what was marked: labels and distances of the rest need neither memory nor time."""

from __future__ import annotations

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
