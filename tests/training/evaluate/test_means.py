"""Means and their intervals, by hand, and what two cases may not claim."""

from __future__ import annotations

import pytest
from support.evaluations import made_up_records

from training.evaluate.document import EvaluationSettings
from training.evaluate.means import NOT_NEGATIVE, SHARE, UNLIMITED, mean_with_interval
from training.evaluate.statistics import statistics_of
from training.evaluate.stratify import stratifications


def test_mean_and_interval_by_hand() -> None:
    """1..5: mean 3, SD 1.5811, 95 % CI 3 -+ 2.7764 * 0.7071."""
    found = mean_with_interval([1, 2, 3, 4, 5], NOT_NEGATIVE)
    assert (found.mean, found.sd) == pytest.approx((3, 1.58114), abs=1e-5)
    assert (found.low, found.high) == pytest.approx((3 - 1.96324, 3 + 1.96324), abs=1e-4)


def test_mean_of_none_one_and_equal_values() -> None:
    """No value: nothing; one: no interval; equal ones: an interval without width."""
    assert mean_with_interval([], SHARE).mean is None
    assert mean_with_interval([0.5], SHARE).low is None
    same = mean_with_interval([0.5, 0.5], SHARE)
    assert (same.low, same.high, same.sd) == (0.5, 0.5, 0.0)


def test_an_interval_ends_where_the_measure_does() -> None:
    """Of two cases Student's interval is 12.7062 standard errors wide to each side: it is cut, and says so."""
    plain = mean_with_interval([0.75, 0.95], UNLIMITED)
    assert (plain.low, plain.high) == pytest.approx((0.85 - 1.27062, 0.85 + 1.27062), abs=1e-5)
    assert plain.note == ""
    cut = mean_with_interval([0.75, 0.95], SHARE)
    assert (cut.mean, cut.sd, cut.low, cut.high) == (plain.mean, plain.sd, 0, 1)
    assert cut.note == "interval cut at 0 and 1, beyond which the mean cannot lie"
    distance = mean_with_interval([4.0, 10.0], NOT_NEGATIVE)
    assert (distance.low, distance.high) == (0, pytest.approx(7 + 3 * 12.7062, abs=1e-3))
    assert distance.note == "interval cut at 0, beyond which the mean cannot lie"
    difference = mean_with_interval([0.9, -0.9], SHARE.of_differences)
    assert (difference.low, difference.high) == (-1, 1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_no_mean_of_a_tiny_cohort_leaves_its_range(count: int) -> None:
    """Every mean of an evaluation, and every stratum: shares stay in 0 to 1, lengths and times above 0."""
    records = [
        record.model_copy(
            update={
                "dsc": 0.02 + 0.9 * (place % 2),
                "surface_dice": 0.99 - 0.8 * (place % 2),
                "hd_mm": 1.0 + 30 * (place % 2),
                "seconds": 0.01 + place,
            }
        )
        for place, record in enumerate(made_up_records(count))
    ]
    found = [item for item in statistics_of({"all": records}, EvaluationSettings()) if item.sd is not None]
    assert {"dsc_mean", "hd_mm_mean", "milliseconds_mean", "surface_dice_mean"} <= {item.name for item in found}
    for item in found:
        assert item.ci_low is not None
        assert item.ci_high is not None
        assert item.value is not None
        assert 0 <= item.ci_low <= item.value <= item.ci_high <= (float("inf") if item.unit else 1)
    (dsc,) = [item for item in found if item.name == "dsc_mean"]
    assert "interval cut at 0" in dsc.note
    for row in (row for table in stratifications(records) for row in table.rows if row.ci_low is not None):
        assert row.ci_high is not None
        assert 0 <= (row.ci_low or 0) <= row.ci_high <= 1
