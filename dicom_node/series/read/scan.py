"""Are these the pixels of a scan at all?

A mask, a label map or a colour map that is stored as MR, or as NIfTI, has a head's shape, so that nothing else here
refuses it; a network finds nothing in it, and says so with confidence. But a scan has noise: hardly a voxel has exactly
the value of its neighbour, and there are hundreds of values.

Measured (share of equal neighbours in the plane; values in a volume): real FLAIR at 1.5 and 3 T 0.01 to 0.05 and 300 or
more; masks of lesions, ventricles and brains 1.0 and 2.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dicom_node.node.errors import NotFlair
from segmentation.volume import Stored

_MOST_EQUAL: Final = 0.5
_LEAST_VALUES: Final = 32
_SLICES_COUNTED: Final = 16


def require_scan(voxels: Stored) -> None:
    """Refuse a volume whose values are no signal: one value, a mask, a label map, a map in a few colours.

    Args:
        voxels: (slice, row, column).

    Raises:
        NotFlair: `not_a_scan`; says what was expected and what was found.
    """
    values = len(np.unique(voxels[:: -(-len(voxels) // _SLICES_COUNTED)]))
    equal = equal_neighbours(voxels)
    if values >= _LEAST_VALUES and equal <= _MOST_EQUAL:
        return
    raise NotFlair(
        "not_a_scan",
        f"The pixels are no scan: they have {values} different values, and {equal:.0%} of neighbours are exactly equal "
        f"(a FLAIR has hundreds of values, and at most {_MOST_EQUAL:.0%} equal). This looks like a mask, a label map "
        "or a colour map; send the FLAIR itself.",
    )


def equal_neighbours(voxels: Stored) -> float:
    """Share of neighbours in the plane that are exactly equal, among those above the darkest value; 1 without any.

    Args:
        voxels: (slice, row, column).
    """
    darkest = voxels.min()
    pairs = equal = 0
    for plane in voxels:
        above = plane > darkest
        for here, there in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
            both = above[here] & above[there]
            pairs += int(np.count_nonzero(both))
            both &= plane[here] == plane[there]
            equal += int(np.count_nonzero(both))
    return equal / pairs if pairs else 1.0
