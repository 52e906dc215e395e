"""The volume interval holds what it promises, and says how many patients that takes."""

from __future__ import annotations

import numpy as np
import pytest

from training.bundle.conformal import VolumePair, calibrate
from training.errors import BadCohort


def _pairs(patients: int, spread: float, seed: int = 0) -> list[VolumePair]:
    generator = np.random.default_rng(seed)
    volumes = generator.uniform(5, 40, patients)
    wrong = np.exp(generator.normal(0, spread, patients))
    return [
        VolumePair(str(index), float(v), float(v * w)) for index, (v, w) in enumerate(zip(volumes, wrong, strict=True))
    ]


def test_coverage_is_the_nominal_one() -> None:
    """Over many patients the interval of those left out holds about 80 % of them, and not much more."""
    found = calibrate(_pairs(400, 0.4), 0.8)
    assert found.coverage == pytest.approx(0.8, abs=0.04)
    assert 1.4 < found.factor < 1.9


def test_two_scans_of_a_patient_count_once() -> None:
    """A patient's worst scan counts, and the number of patients is that of patients."""
    pairs = _pairs(12, 0.2)
    doubled = [*pairs, *(VolumePair(pair.patient, pair.manual_ml, pair.manual_ml) for pair in pairs)]
    assert calibrate(doubled, 0.8) == calibrate(pairs, 0.8)


def test_too_few_patients_promise_nothing() -> None:
    """With four patients no interval can promise 80 %: the error says how many it takes."""
    with pytest.raises(BadCohort, match="at least 5 patients"):
        calibrate(_pairs(4, 0.2), 0.8)
