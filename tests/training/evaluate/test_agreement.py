"""Agreement of volumes, against published worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from training.evaluate.agreement import agreement

# Zou 2013 (Stat Methods Med Res 22:630), cardiac output by two methods, complete pairs, as in R's SimplyAgree.
ZOU_X = [7.83, 7.42, 7.89, 7.12, 6.16, 7.26, 6.71, 4.75, 5.24, 4.86, 4.78, 6.05, 5.42, 4.21, 3.61, 3.72, 3.87, 3.92]
ZOU_Y = [6.57, 5.62, 6.90, 6.57, 4.06, 4.29, 4.26, 4.71, 5.50, 5.08, 5.02, 6.01, 5.67, 4.14, 4.20, 4.61, 4.68, 5.04]

# Bland & Altman 1986 (Lancet 327:307), Table 1: peak flow by Wright and mini Wright meter, first readings.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_published_ccc_and_interval() -> None:
    """CCC 0.4791, 95 % CI 0.1276 to 0.7237, as the vignette "Agreement Tests" of SimplyAgree prints for these data."""
    found = agreement(np.array(ZOU_X), np.array(ZOU_Y))
    assert found is not None
    assert (found.ccc, found.ccc_low, found.ccc_high) == pytest.approx((0.4791, 0.1276, 0.7237), abs=5e-5)


def test_bias_correction_of_a_published_ccc() -> None:
    """C_b = CCC / r (Lin 1989): the printed CCC of the same data over their Pearson r, both from elsewhere."""
    found = agreement(np.array(ZOU_X), np.array(ZOU_Y))
    assert found is not None
    assert found.bias_correction == pytest.approx(0.4791 / pearsonr(ZOU_X, ZOU_Y).statistic, abs=1e-4)


def test_published_correlation() -> None:
    """r = 0.94, as Bland and Altman print; the meters agree, so C_b is nearly 1 and CCC nearly r."""
    found = agreement(np.array(WRIGHT, float), np.array(MINI, float))
    assert found is not None
    assert found.linear.r == pytest.approx(0.94, abs=0.005)
    assert found.bias_correction == pytest.approx(0.9994, abs=5e-5)
    assert found.ccc == pytest.approx(found.linear.r * 0.9994, abs=1e-4)


def test_bias_correction_by_lins_formula() -> None:
    """C_b = 2 / (v + 1/v + u^2), Lin 1989 p. 258: scale shift 2 and location shift worked out by hand.

    x = 1..5, y = 2x + 3: v = 2, mean shift 6, s_x = sqrt(2), s_y = sqrt(8), u^2 = 36 / 4 = 9; C_b = 2 / 11.5, r = 1.
    """
    x = np.arange(1.0, 6.0)
    found = agreement(x, 2 * x + 3)
    assert found is not None
    assert found.bias_correction == pytest.approx(2 / 11.5)
    assert found.ccc == pytest.approx(2 / 11.5)
    assert found.ccc_low is None  # on a line Lin's interval has no width to speak of


def test_too_few_or_constant() -> None:
    """Two pairs, or a column that does not vary, give no number rather than a NaN."""
    assert agreement(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert agreement(np.ones(5), np.arange(5.0)) is None
    three = agreement(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0]))
    assert three is not None
    assert three.linear.low is None
    assert three.ccc_low is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=4, max_size=20))
def test_ccc_is_never_above_r(pairs: list[tuple[float, float]]) -> None:
    """|CCC| <= |r|, C_b lies in (0, 1], and swapping the methods changes nothing."""
    x, y = (np.round(np.array(values), 3) for values in zip(*pairs, strict=True))
    found, swapped = agreement(x, y), agreement(y, x)
    if found is None or swapped is None:
        return
    assert abs(found.ccc) <= abs(found.linear.r) + 1e-9
    assert swapped.ccc == pytest.approx(found.ccc)
    if found.bias_correction is not None:
        assert 0 < found.bias_correction <= 1 + 1e-9
    if found.ccc_low is not None and found.ccc_high is not None:
        assert found.ccc_low <= found.ccc <= found.ccc_high
