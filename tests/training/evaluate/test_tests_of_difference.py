"""The paper's tests, with the cases that would give NaN."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.evaluate.tests_of_difference import (
    anova,
    bonferroni_pairs,
    chi_square,
    kruskal_wallis,
    paired_t,
)


def test_paired_t_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 / (1 / sqrt(3)) with 2 degrees of freedom."""
    found = paired_t([2, 4, 6], [1, 2, 3])
    assert found.p == pytest.approx(2 * stats.t.sf(2 * np.sqrt(3), 2))
    assert paired_t([1.0], [2.0]).p is None
    assert paired_t([1.0, 2.0], [1.0, 2.0]).p is None  # no difference at all: t is 0 / 0


def test_groups_too_small_are_left_out_by_name() -> None:
    """A group of one is named and left out; fewer than two groups give words and no P value."""
    groups = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 7.0], "c": [9.0]}
    found = anova(groups)
    assert found.p == pytest.approx(stats.f_oneway(groups["a"], groups["b"]).pvalue)
    assert "c" in found.note
    assert kruskal_wallis({"a": [1.0, 2.0], "b": []}).p is None
    assert anova({"a": [1.0, 1.0], "b": [1.0, 1.0]}).note == "all values are the same"


def test_bonferroni_multiplies_by_the_pairs() -> None:
    """Three groups are three pairs: each P is three times that of its t test, and at most 1."""
    groups = {"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.5], "c": [9.0, 9.5, 10.0]}
    pairs = bonferroni_pairs(groups)
    raw = stats.ttest_ind(groups["a"], groups["c"]).pvalue
    assert {(pair.first, pair.second): pair.p for pair in pairs}["a", "c"] == pytest.approx(3 * raw)
    assert all(pair.p <= 1 for pair in pairs)


def test_chi_square_by_hand() -> None:
    """[[10, 20], [20, 10]]: chi-square 60 * (100 - 400)^2 / 30^4 = 6.667, one degree of freedom."""
    assert chi_square(np.array([[10, 20], [20, 10]])).p == pytest.approx(stats.chi2.sf(20 / 3, 1))
    assert chi_square(np.array([[10, 20], [0, 0]])).p is None
    assert "below 5" in chi_square(np.array([[1, 2], [2, 1]])).note
