"""A predictive interval of the volume that holds what it promises: split conformal, on manual over predicted volume.

The interval is the predicted volume divided and multiplied by one factor. The factor is a quantile of |log(manual /
predicted)| over patients that the scoring network never saw, with the finite-sample correction of conformal prediction
(Vovk et al. 2005; Angelopoulos and Bates, arXiv:2107.07511): for a new patient who is exchangeable with these the
interval holds the manual volume with at least the nominal probability. Exchangeable is the assumption: the same kind of
scanner, patients and readers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmentation.interval import RATIO_LEAST_ML
from training.errors import BadCohort


@dataclass(frozen=True)
class VolumePair:
    """One scan: patient, manual and predicted volume in mL."""

    patient: str
    manual_ml: float
    predicted_ml: float


@dataclass(frozen=True)
class ConformalInterval:
    """What was measured.

    Attributes:
        nominal: the probability that is promised.
        factor: an interval is from volume / factor to volume * factor.
        coverage: part of the patients, each left out in turn, whose interval by the others' factor holds their volume.
        patients: how many.
    """

    nominal: float
    factor: float
    coverage: float
    patients: int

    @property
    def width(self) -> float:
        """Width of an interval divided by the volume."""
        return self.factor - 1 / self.factor


def calibrate(pairs: Sequence[VolumePair], nominal: float = 0.8) -> ConformalInterval:
    """The factor for new patients, and its coverage by leaving each patient out.

    Args:
        pairs: several scans of one patient count as their worst.
        nominal: between 0 and 1.

    Raises:
        BadCohort: too few patients for this promise: 1 / (1 - nominal) are needed.
    """
    errors = _worst_by_patient(pairs)
    if math.ceil(nominal * len(errors)) > len(errors) - 1:
        needed = math.ceil(1 / (1 - nominal) - 1e-9)
        raise BadCohort(f"expected at least {needed} patients for a coverage of {nominal:.0%}, got {len(errors)}")
    values = list(errors.values())
    held = [value <= _quantile(values[:index] + values[index + 1 :], nominal) for index, value in enumerate(values)]
    return ConformalInterval(nominal, math.exp(_quantile(values, nominal)), float(np.mean(held)), len(values))


def _worst_by_patient(pairs: Sequence[VolumePair]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for pair in pairs:
        error = abs(math.log((pair.manual_ml + RATIO_LEAST_ML) / (pair.predicted_ml + RATIO_LEAST_ML)))
        worst[pair.patient] = max(worst.get(pair.patient, 0.0), error)
    return worst


def _quantile(errors: Sequence[float], nominal: float) -> float:
    """The ceil(nominal * (n + 1))-th smallest of n."""
    place = math.ceil(nominal * (len(errors) + 1))
    return sorted(errors)[place - 1] if place <= len(errors) else math.inf
