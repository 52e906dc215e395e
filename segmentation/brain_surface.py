"""What lies at the brain's surface is left out of what a model marks there: dura and scalp look like a lesion.

WMH lie under the cortex, which is 2 to 4 mm thick, and a brain mask holds the fluid around it too. Of the manual WMH
of MS3SEG none lies within 4 mm of the surface of the anatomy network's brain, and a third of the false ones of networks
that see the brain alone do.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.boxes import box_of, within_mm

SURFACE_MM: Final = 3.0


def without_surface(
    brain: NDArray[np.bool_], spacing_mm: tuple[float, float], depth_mm: float = SURFACE_MM
) -> NDArray[np.bool_]:
    """The brain without what lies within `depth_mm` of its edge, in the plane of each slice.

    Args:
        brain: bool (slice, row, column), holes filled; where the field of view cuts it, it has no edge.
        spacing_mm: of rows and of columns.
    """
    deep = np.zeros(brain.shape, bool)
    for plane, out in zip(brain, deep, strict=True):
        box = box_of(plane, 1, 1)  # the nearest that is not marked lies in it
        out[box] = plane[box] & ~within_mm(~plane[box], depth_mm, spacing_mm)
    return deep
