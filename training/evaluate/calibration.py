"""Does a probability of 0.7 mean 70 %? Reliability, expected calibration error and Brier score near lesions.

Far from any lesion nearly every voxel is a sure, correct zero, which would hide every fault: only voxels within a
distance of a manual or predicted lesion count. ECE: mean over bins of |observed - mean probability|, weighted by voxels
(Guo 2017, arXiv:1706.04599; Mehrtash 2020, doi:10.1109/TMI.2020.3006437, for segmentation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import binned_statistic

from training.evaluate.document import ReliabilityBin, ReliabilityCurve


@dataclass(frozen=True)
class ReliabilityCounts:
    """Sums over the voxels near lesions, by bins of equal width; what several cases can be added up from.

    Attributes:
        voxels: number of voxels, per bin.
        probability: sum of their probabilities, per bin.
        lesion: number of manual lesion voxels among them, per bin.
        squared_error: sum of (probability - label)^2 over all bins.
    """

    voxels: NDArray[np.float64]
    probability: NDArray[np.float64]
    lesion: NDArray[np.float64]
    squared_error: float

    @property
    def ece(self) -> float | None:
        """Expected calibration error; None without voxels."""
        total = self.voxels.sum()
        return float(np.abs(self.lesion - self.probability).sum() / total) if total else None

    @property
    def brier(self) -> float | None:
        """Mean squared error of the probability; None without voxels."""
        total = self.voxels.sum()
        return float(self.squared_error / total) if total else None


def near_lesions(
    predicted: NDArray[np.bool_], manual: NDArray[np.bool_], spacing_mm: tuple[float, float, float], distance_mm: float
) -> NDArray[np.bool_]:
    """Voxels (slice, row, column) within `distance_mm` of a manual or predicted lesion, in three dimensions."""
    lesion = predicted | manual
    if not lesion.any():
        return np.zeros(lesion.shape, bool)
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~lesion, sampling=spacing_mm) <= distance_mm
    return near


def count_reliability(probability: NDArray[Any], manual: NDArray[np.bool_], bins: int) -> ReliabilityCounts:
    """Sort voxels into `bins` bins of equal width; both arrays are one-dimensional."""
    if not len(probability):
        return ReliabilityCounts(np.zeros(bins), np.zeros(bins), np.zeros(bins), 0.0)
    p = probability.astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    count, sum_p, sum_y = (
        binned_statistic(p, values, statistic="sum", bins=edges).statistic
        for values in (np.ones_like(p), p, manual.astype(np.float64))
    )
    return ReliabilityCounts(count, sum_p, sum_y, float(((p - manual) ** 2).sum()))


def add_up(cases: Sequence[ReliabilityCounts], bins: int) -> ReliabilityCounts:
    """All cases' voxels together."""
    empty = np.zeros(bins)
    return ReliabilityCounts(
        sum((case.voxels for case in cases), empty),
        sum((case.probability for case in cases), empty),
        sum((case.lesion for case in cases), empty),
        sum(case.squared_error for case in cases),
    )


def reliability_curve(cases: Sequence[ReliabilityCounts], bins: int, distance_mm: float) -> ReliabilityCurve:
    """The curve of all cases' voxels together."""
    counts = add_up(cases, bins)
    region = f"voxels within {distance_mm:g} mm of a manual or predicted lesion"
    if not counts.voxels.sum():
        return ReliabilityCurve(region=region, note="no case has a manual or predicted lesion")
    edges = np.linspace(0, 1, bins + 1)
    return ReliabilityCurve(
        region=region,
        bins=tuple(_bin(counts, index, edges) for index in range(bins)),
        ece=counts.ece,
        brier=counts.brier,
    )


def _bin(counts: ReliabilityCounts, index: int, edges: NDArray[np.float64]) -> ReliabilityBin:
    low, high, voxels = float(edges[index]), float(edges[index + 1]), counts.voxels[index]
    if not voxels:
        return ReliabilityBin(low=low, high=high, voxels=0)
    return ReliabilityBin(
        low=low,
        high=high,
        mean_probability=min(1.0, float(counts.probability[index] / voxels)),
        observed=float(counts.lesion[index] / voxels),
        voxels=int(voxels),
    )
