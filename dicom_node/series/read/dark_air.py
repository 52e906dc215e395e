"""Is air dark? Around a head lies air, which gives no signal, whatever the contrast.

Where the edge of the images is brighter than nearly all of their middle, low values mean bright: the header's
PhotometricInterpretation or the sign of its RescaleSlope is wrong, or a program has inverted the images. WMH is then
dark, and a network finds none.

Measured (median of the edge over the 75th percentile of the middle, both above the darkest value; see `is_air_bright`):
21 real FLAIR of five scanners 0.00 to 0.25; the same inverted 1.0 and more.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dicom_node.node.errors import NotFlair
from segmentation.volume import Stored, as_float

_EDGE: Final = 1 / 32  # of rows and of columns
_MIDDLE: Final = 1 / 4
_MIDDLE_PERCENTILES: Final = (25.0, 75.0)


def require_dark_air(voxels: Stored) -> None:
    """Refuse images whose grey scale is inverted.

    Args:
        voxels: (slice, row, column), finite.

    Raises:
        NotFlair: `inverted_grey`; names the attributes.
    """
    if is_air_bright(voxels):
        raise NotFlair(
            "inverted_grey",
            "The air around the head is brighter than the head: the grey scale is inverted, against what "
            "PhotometricInterpretation and RescaleSlope say. Send the images as acquired.",
        )


def is_air_bright(voxels: Stored) -> bool:
    """The edge of the images is brighter than three quarters of their middle.

    Args:
        voxels: (slice, row, column); NaN where there is padding.
    """
    rows, columns = voxels.shape[1:]
    margin, side = max(1, round(rows * _EDGE)), max(1, round(columns * _EDGE))
    edge = np.ones((rows, columns), bool)
    edge[margin : rows - margin, side : columns - side] = False
    top, left = round(rows * _MIDDLE), round(columns * _MIDDLE)
    around = as_float(voxels[:, edge])
    middle = as_float(voxels[:, top : rows - top, left : columns - left])
    if np.isnan(around).all() or np.isnan(middle).all():
        return False
    air = np.nanmedian(around)
    low, high = np.nanpercentile(middle, _MIDDLE_PERCENTILES)
    return bool(air >= high and air > low)  # equal: the skull was removed, and all around it has one value
