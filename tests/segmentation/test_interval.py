from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmentation.interval import PredictiveRule, VolumeInterval, bounds_of
from segmentation.measures import measure
from segmentation.regions import divide


def test_the_predictive_interval_is_a_factor_either_way() -> None:
    """Divided and multiplied, half a millilitre added to both; it never begins below 0."""
    rule = PredictiveRule(nominal=0.8, factor=2.0)
    assert tuple(rule.of(9.5).interval) == (4.5, 19.5)
    assert tuple(rule.of(0.0).interval) == (0.0, 0.5)
    assert rule.of(1.0).nominal == 0.8


def interval_of(*probabilities: float, voxel_ml: float = 1.0) -> tuple[float, ...]:
    probability = np.asarray(probabilities, np.float32).reshape(1, 1, -1)
    return tuple(measure(probability >= 0.5, probability, voxel_ml).volume_interval_ml)


def test_the_interval_goes_from_the_sure_to_the_possible() -> None:
    """Certain from p = 0.89 on; possible down to p = 0.11, predicted or not; the volume lies between."""
    assert interval_of(1.0, 0.9, 0.88, 0.5, 0.49, 0.12, 0.10, 0.0, voxel_ml=0.5) == (1.0, 3.0)


def test_the_limits_are_those_of_half_a_bit() -> None:
    """The limit is where the confidence is 0.5 bit: 0.8900 on one side, 0.1100 on the other."""
    assert interval_of(0.8901) == (1.0, 1.0)
    assert interval_of(0.8899) == (0.0, 1.0)
    assert interval_of(0.1101) == (0.0, 1.0)
    assert interval_of(0.1099) == (0.0, 0.0)


def test_nothing_found_has_an_upper_end_still() -> None:
    """Without a predicted voxel the interval begins at 0 and states what is not ruled out."""
    assert interval_of(0.3, 0.3, 0.0) == (0.0, 2.0)


@given(arrays(np.float32, (2, 5, 6), elements=st.floats(0, 1, width=32)), st.floats(0.05, 0.95))
def test_the_lower_end_is_the_part_that_the_index_calls_sure(probability: np.ndarray, threshold: float) -> None:
    """Lower end = volume x (1 - uncertainty index), whatever the threshold; volume and order hold always."""
    measures = measure(probability >= threshold, probability, 0.25)
    lower, upper = measures.volume_interval_ml
    assert lower <= measures.wmh_volume_ml <= upper
    if measures.uncertainty_index is not None:
        assert lower == pytest.approx(measures.wmh_volume_ml * (1 - measures.uncertainty_index))


def test_the_parts_intervals_add_up_to_the_whole() -> None:
    """Periventricular and deep have intervals too, and together they are the whole's."""
    generator = np.random.default_rng(0)
    probability = generator.random((3, 30, 30)).astype(np.float32)
    mask = probability >= 0.5
    ventricles = np.zeros(mask.shape, bool)
    ventricles[1, 10:14, 10:14] = True
    bounds = bounds_of(mask, probability)
    regions = divide(mask, ventricles, (1000.0, 1.0, 1.0), bounds=bounds)
    assert regions is not None
    inner, outer = regions.volumes.periventricular_interval_ml, regions.volumes.deep_interval_ml
    assert inner is not None and outer is not None
    assert inner.lower_ml < regions.volumes.periventricular_volume_ml < inner.upper_ml
    assert [a + b for a, b in zip(inner, outer, strict=True)] == list(bounds.interval(1.0))


@pytest.mark.parametrize(("lower", "upper"), [(2.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_impossible_intervals_are_refused(lower: float, upper: float) -> None:
    """An interval is checked when it is made."""
    with pytest.raises(ValueError, match="expected 0 <= lower <= upper"):
        VolumeInterval(lower, upper)


def test_intervals_overlap_when_a_volume_lies_in_both() -> None:
    """Touching counts, a gap does not, and it does not matter which is asked."""
    first = VolumeInterval(1.0, 2.0)
    assert first.overlaps(VolumeInterval(2.0, 3.0)) and VolumeInterval(2.0, 3.0).overlaps(first)
    assert first.overlaps(VolumeInterval(0.0, 9.0))
    assert not first.overlaps(VolumeInterval(2.1, 3.0)) and not VolumeInterval(2.1, 3.0).overlaps(first)
