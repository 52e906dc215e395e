"""Periventricular and deep WMH of one case, manual against predicted.

What is periventricular is `segmentation.regions`' business: within 10 (or 7.5) mm of the ventricles, in the slice's
plane as published; deep is the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.regions import RegionRule, near
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
    predicted: Mask, manual: Mask, ventricles: Mask, spacing_mm: tuple[float, float, float], rule: RegionRule
) -> RegionScores:
    """Scores by one rule; masks are bool (slice, row, column), spacing in mm in the same order."""
    inner = near(ventricles, spacing_mm, rule)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return RegionScores(
        pv_dsc=_dice_within(predicted, manual, inner),
        deep_dsc=_dice_within(predicted, manual, ~inner),
        pv_manual_ml=float((manual & inner).sum()) * voxel_ml,
        pv_predicted_ml=float((predicted & inner).sum()) * voxel_ml,
        deep_manual_ml=float((manual & ~inner).sum()) * voxel_ml,
        deep_predicted_ml=float((predicted & ~inner).sum()) * voxel_ml,
    )


def _dice_within(predicted: Mask, manual: Mask, region: Mask) -> float | None:
    first, second = predicted & region, manual & region
    return dice(first, second) if first.any() or second.any() else None
