"""Distances between two masks: Hausdorff, its 95th percentile, and surface Dice.

HD(X, Y) = max(h(X, Y), h(Y, X)), h(X, Y) = max over x in X of min over y in Y of ||x - y|| (paper, "Segmentation
Performance Evaluation Metrics"), in three dimensions. The paper does not say in which unit it measured: the same
distance is given in mm and in voxel steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances of each mask's border voxels to the other mask's border voxels, in the unit of the spacing."""

    from_predicted: NDArray[np.float64]
    from_manual: NDArray[np.float64]

    def percentile_95(self) -> float:
        """95th percentile of the distances in both directions together."""
        return float(np.percentile(np.concatenate([self.from_predicted, self.from_manual]), 95))

    def within(self, tolerance: float) -> float:
        """Surface Dice: share of all border voxels that lie within `tolerance` of the other border.

        Nikolov 2021 (doi:10.2196/26151) weighs by surface area; here each border voxel counts once.
        """
        close = (self.from_predicted <= tolerance).sum() + (self.from_manual <= tolerance).sum()
        return float(close / (len(self.from_predicted) + len(self.from_manual)))


def hausdorff(predicted: Mask, manual: Mask, spacing: tuple[float, float, float]) -> float | None:
    """Hausdorff distance in the unit of `spacing` (slice, row, column); None when a mask is empty."""
    if not predicted.any() or not manual.any():
        return None
    predicted, manual = _crop(predicted, manual)
    return float(max(_distance_to(manual, spacing)[predicted].max(), _distance_to(predicted, spacing)[manual].max()))


def surface_distances(predicted: Mask, manual: Mask, spacing: tuple[float, float, float]) -> SurfaceDistances | None:
    """Distances between the borders of two masks (slice, row, column); None when a mask is empty."""
    if not predicted.any() or not manual.any():
        return None
    predicted, manual = _crop(predicted, manual)
    border_predicted, border_manual = _border(predicted), _border(manual)
    return SurfaceDistances(
        _distance_to(border_manual, spacing)[border_predicted], _distance_to(border_predicted, spacing)[border_manual]
    )


def _border(mask: Mask) -> Mask:
    """Voxels of the mask with a face towards the outside; the volume's edge counts as outside."""
    border: Mask = mask & ~ndimage.binary_erosion(mask)
    return border


def _distance_to(mask: Mask, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))


def _crop(predicted: Mask, manual: Mask) -> tuple[Mask, Mask]:
    """The box around both masks: distances are the same, and it takes a tenth of the time.

    A margin of one voxel keeps a border that lies at the box's edge a border for the same reason as before.
    """
    box = ndimage.find_objects((predicted | manual).astype(np.uint8))[0]
    margin = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)
    return predicted[margin], manual[margin]
