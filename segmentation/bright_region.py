"""How much of a large bright region, such as an infarct, is counted as WMH, and how much is left out.

The plausibility rule `bright_mass` doubts a result whose brain has bright tissue wider than WMH usually is. A reader
must also know what the mask made of it: an infarct that is half counted spoils the volume, one left out does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.bright_tissue import LARGE_PART, bright_body
from segmentation.volume import FlairVolume

Mask = NDArray[np.bool_]

LEAST_RADIUS_MM: Final = 9.0
"""Of the disc that bright tissue fills in a slice, as in the rule `bright_mass`."""


@dataclass(frozen=True)
class BrightRegion:
    """Bright tissue that is wider than WMH usually is.

    Attributes:
        volume_ml: of the region: every disc of `LEAST_RADIUS_MM` that bright tissue fills, slice by slice.
        counted_ml: the part of it that the mask holds.
        slice_index: the slice that holds most of it.
    """

    volume_ml: float
    counted_ml: float
    slice_index: int

    @property
    def left_out_ml(self) -> float:
        """The part of it that the mask does not hold."""
        return self.volume_ml - self.counted_ml


def find_bright_region(volume: FlairVolume, brain: Mask, mask: Mask) -> BrightRegion | None:
    """The bright region of a brain, None where there is none.

    Args:
        volume: intensities.
        brain: bool (slice, row, column).
        mask: bool, same shape: the WMH that is delivered.
    """
    areas = brain.sum(axis=(1, 2))
    if not areas.any():
        return None
    found = np.zeros(len(brain), np.int64)
    counted = 0
    for index in np.flatnonzero(areas > LARGE_PART * areas.max()):
        region = _discs(
            bright_body(volume.plane(int(index)), brain[index], volume.spacing_mm[1:]), volume.spacing_mm[1:]
        )
        found[index] = np.count_nonzero(region)
        counted += int(np.count_nonzero(region & mask[index]))
    if not found.any():
        return None
    return BrightRegion(
        float(found.sum() * volume.voxel_volume_ml), counted * volume.voxel_volume_ml, int(found.argmax())
    )


def _discs(body: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """What discs of the least radius inside the body cover: its opening."""
    depth = ndimage.distance_transform_edt(np.pad(body, 1), spacing_mm)[1:-1, 1:-1]
    centres: Mask = np.asarray(depth >= LEAST_RADIUS_MM)
    if not centres.any():
        return centres
    return np.asarray(body & (ndimage.distance_transform_edt(~centres, spacing_mm) < LEAST_RADIUS_MM))
