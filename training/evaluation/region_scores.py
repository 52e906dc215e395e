"""Periventricular and deep WMH of one case, manual against predicted.

Periventricular: within 10 (or 7.5) mm of the ventricular surface, in the slice's plane as the paper's OpenCV distance
transform does; deep: the rest, which is all of a slice without ventricles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.dice import dice

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RegionScores:
    """DSC and volumes; a DSC is None where neither mask has WMH in the region: there is nothing to agree on."""

    pv_dsc: float | None
    deep_dsc: float | None
    pv_manual_ml: float
    pv_predicted_ml: float
    deep_manual_ml: float
    deep_predicted_ml: float


def region_scores(
    predicted: Mask, manual: Mask, ventricles: Mask, spacing_mm: tuple[float, float, float], within_mm: float
) -> RegionScores:
    """Scores at one distance; masks are bool (slice, row, column), spacing in mm in the same order."""
    near = distance_in_plane(ventricles, spacing_mm[1:]) <= within_mm
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return RegionScores(
        pv_dsc=_dice_within(predicted, manual, near),
        deep_dsc=_dice_within(predicted, manual, ~near),
        pv_manual_ml=float((manual & near).sum()) * voxel_ml,
        pv_predicted_ml=float((predicted & near).sum()) * voxel_ml,
        deep_manual_ml=float((manual & ~near).sum()) * voxel_ml,
        deep_predicted_ml=float((predicted & ~near).sum()) * voxel_ml,
    )


def distance_in_plane(ventricles: Mask, pixel_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Distance in mm to the nearest ventricle voxel of the same slice; infinite in a slice without."""
    distance = np.full(ventricles.shape, np.inf)
    for number, mask in enumerate(ventricles):
        if mask.any():
            distance[number] = ndimage.distance_transform_edt(~mask, sampling=pixel_mm)
    return distance


def _dice_within(predicted: Mask, manual: Mask, region: Mask) -> float | None:
    first, second = predicted & region, manual & region
    return dice(first, second) if first.any() or second.any() else None
