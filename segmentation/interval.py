"""The volume interval: from the voxels that the ensemble is sure of to those that it does not rule out.

The limit is that of the uncertainty index (`segmentation.uncertainty`): a voxel is uncertain when its confidence is
under 0.5 bit, 0.1100 < p < 0.8900. The lower end is the volume of the predicted voxels that are certain; the upper end
adds every voxel that is uncertain, predicted or not. So the lower end is the volume times (1 - uncertainty index).

It is no confidence interval: it does not state how often it holds the volume that a reader would draw. The measured
coverage is in docs/adr/0010, and `make interval-coverage` prints it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.uncertainty import UNCERTAIN_BELOW_BITS, confidence_bits

RATIO_LEAST_ML: Final = 0.5
"""Added to both volumes of a ratio: below it a ratio says nothing."""
SURELY_OUTSIDE: Final = 0.1  # well under the limit, 0.1100: those voxels, nearly all, need no logarithm


@dataclass(frozen=True)
class VolumeInterval:
    """A lower and an upper volume in mL.

    Raises:
        ValueError: they are not 0 <= lower <= upper.
    """

    lower_ml: float
    upper_ml: float

    def __post_init__(self) -> None:
        """Check once, so that no later code must."""
        if not 0.0 <= self.lower_ml <= self.upper_ml:
            raise ValueError(f"expected 0 <= lower <= upper in mL, got {self.lower_ml} and {self.upper_ml}")

    def __iter__(self) -> Iterator[float]:
        """Lower, then upper."""
        return iter((self.lower_ml, self.upper_ml))

    def overlaps(self, other: VolumeInterval) -> bool:
        """True when some volume lies in both; touching counts."""
        return self.lower_ml <= other.upper_ml and other.lower_ml <= self.upper_ml


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Bounds:
    """The two masks behind an interval, bool (slice, row, column): `sure` lies in the predicted mask, `possible` holds
    it."""

    sure: NDArray[np.bool_]
    possible: NDArray[np.bool_]

    def interval(self, voxel_volume_ml: float) -> VolumeInterval:
        """Volumes of the two masks."""
        sure, possible = (int(np.count_nonzero(mask)) for mask in (self.sure, self.possible))
        return VolumeInterval(sure * voxel_volume_ml, possible * voxel_volume_ml)

    def divided(self, voxel_volume_ml: float, by: NDArray[np.bool_]) -> tuple[VolumeInterval, VolumeInterval]:
        """Volumes of the parts of the two masks in another mask of the same shape, and of the rest."""
        both = [(int(np.count_nonzero(mask)), int(np.count_nonzero(mask & by))) for mask in (self.sure, self.possible)]
        inside = VolumeInterval(*(part * voxel_volume_ml for _, part in both))
        return inside, VolumeInterval(*((whole - part) * voxel_volume_ml for whole, part in both))


def bounds_of(mask: NDArray[np.bool_], probability: NDArray[Any]) -> Bounds:
    """What the ensemble is sure of, and what it does not rule out.

    Args:
        mask: bool (slice, row, column): the predicted voxels.
        probability: the ensemble's mean probability, same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if probability.shape != mask.shape:
        raise ValueError(f"expected a mask of shape {probability.shape}, got {mask.shape}")
    looked_at = (probability > SURELY_OUTSIDE) | mask
    uncertain = np.zeros(mask.shape, bool)
    uncertain[looked_at] = confidence_bits(probability[looked_at]) < UNCERTAIN_BELOW_BITS
    return Bounds(sure=mask & ~uncertain, possible=mask | uncertain)


@dataclass(frozen=True)
class PredictiveInterval:
    """Where a reader's volume lies for `nominal` of new patients like those that it was measured on."""

    interval: VolumeInterval
    nominal: float


@dataclass(frozen=True)
class PredictiveRule:
    """The volume divided and multiplied by a measured factor (`training.bundle.conformal`).

    Attributes:
        nominal: the part of new patients that is promised to lie within, 0 to 1.
        factor: 1 or more.
    """

    nominal: float
    factor: float

    def of(self, volume_ml: float) -> PredictiveInterval:
        """The interval of one volume in mL."""
        raised = volume_ml + RATIO_LEAST_ML
        lower = max(raised / self.factor - RATIO_LEAST_ML, 0.0)
        return PredictiveInterval(VolumeInterval(lower, raised * self.factor - RATIO_LEAST_ML), self.nominal)
