from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmentation.uncertainty import confidence_bits, uncertainty_index

# Where 1 - H(p) = 0.5 bit, to nine digits; the paper rounds it to 0.8900.
LIMIT = 0.889972135

probabilities = st.floats(0.0, 1.0, width=32)
volumes = arrays(np.float32, st.tuples(*[st.integers(1, 5)] * 3), elements=probabilities)


def index_of(*values: float) -> float | None:
    array = np.asarray(values)
    return uncertainty_index(array, array >= 0.5)


@pytest.mark.parametrize(("p", "bits"), [(0.0, 1.0), (0.5, 0.0), (1.0, 1.0), (0.25, 1 - 0.8112781244591328)])
def test_confidence_is_measured_in_bits(p: float, bits: float) -> None:
    """Confidence is 0 bit at p = 0.5 and 1 bit at certainty, exactly."""
    assert confidence_bits(np.asarray([p]))[0] == pytest.approx(bits, abs=1e-12)


def test_uncertain_voxels_lie_from_a_half_to_0_89() -> None:
    """Among predicted voxels those with 0.5 <= p < 0.8900 are uncertain, the limits included and excluded in turn."""
    assert index_of(0.5) == 1.0
    assert index_of(0.8899) == 1.0
    assert index_of(LIMIT - 1e-8) == 1.0
    assert index_of(LIMIT + 1e-8) == 0.0
    assert index_of(0.8900) == 0.0
    assert index_of(1.0) == 0.0


def test_unpredicted_voxels_do_not_count() -> None:
    """Voxels under the threshold belong neither to the numerator nor to the denominator."""
    assert index_of(0.49, 0.3, 0.2, 0.0, 0.6, 0.95) == 0.5


def test_it_is_not_the_published_codes_entropy() -> None:
    """Thresholding H in place of KL would give 1 - UI: three sure voxels and one unsure one are 0.25, not 0.75."""
    assert index_of(0.99, 0.99, 0.99, 0.55) == 0.25


def test_it_is_not_in_natural_logarithms() -> None:
    """In nats the limit would be 0.9518: p = 0.92 is a sure voxel."""
    assert index_of(0.92) == 0.0


def test_it_does_not_count_a_channel_twice() -> None:
    """A two-channel entropy stacked on one array doubles H, and p = 0.9 would look uncertain: it is sure."""
    assert confidence_bits(np.asarray([0.9]))[0] == pytest.approx(0.5310044064107188, abs=1e-12)
    assert index_of(0.9) == 0.0


def test_nothing_predicted_is_undefined() -> None:
    """Without a predicted voxel the index is None: never NaN, never 0."""
    assert uncertainty_index(np.full((2, 3, 3), 0.4), np.zeros((2, 3, 3), bool)) is None


def test_shapes_must_agree() -> None:
    """A mask of another grid is refused, not broadcast."""
    with pytest.raises(ValueError, match="expected a mask of shape"):
        uncertainty_index(np.zeros((2, 3, 3)), np.zeros((3, 3), bool))


@given(volumes)
def test_the_index_is_a_fraction_or_undefined(probability: np.ndarray) -> None:
    """Whatever the probabilities, the index is in 0..1, or None exactly when the mask is empty."""
    mask = probability >= 0.5
    index = uncertainty_index(probability, mask)
    assert (index is None) == (not mask.any())
    assert index is None or 0.0 <= index <= 1.0


@given(volumes)
def test_the_index_is_counted_by_hand(probability: np.ndarray) -> None:
    """The index equals the count of predicted voxels under the limit; values within 1e-6 of it are left out."""
    probability = np.where(np.abs(probability - LIMIT) < 1e-6, np.float32(1.0), probability)
    mask = probability >= 0.5
    expected = np.count_nonzero(mask & (probability < LIMIT)) / max(1, np.count_nonzero(mask))
    assert (uncertainty_index(probability, mask) or 0.0) == pytest.approx(expected)


@given(volumes)
def test_confidence_is_symmetric_and_finite(probability: np.ndarray) -> None:
    """p and 1 - p are known equally well, and no probability gives NaN."""
    wide = probability.astype(np.float64)
    bits = confidence_bits(wide)
    assert np.isfinite(bits).all()
    np.testing.assert_allclose(bits, confidence_bits(1.0 - wide), atol=1e-12)
