"""Paired tests: SciPy's own numbers, patients and not scans, and words where there is no test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.evaluate.comparison.pairs import by_patient, compare_pairs, over_all

# Student's sleep data (Biometrika 1908;6:1): extra hours of ten patients by two drugs; t = -4.0621, P = .002833.
DRUG_1 = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
DRUG_2 = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
TEN = tuple("abcdefghij")


def test_students_sleep_data() -> None:
    """Mean difference, its interval and P of a paired t test as published."""
    (pair,) = compare_pairs({"A": DRUG_1, "B": DRUG_2}, TEN)
    assert pair.n == 10
    assert pair.difference == pytest.approx(-1.58)
    assert (pair.ci_low, pair.ci_high) == (pytest.approx(-2.4599, abs=1e-4), pytest.approx(-0.7001, abs=1e-4))
    assert pair.p_t == pytest.approx(0.002833, abs=1e-6)
    assert pair.p_wilcoxon == pytest.approx(float(stats.wilcoxon(np.subtract(DRUG_1, DRUG_2)).pvalue))


def test_several_pairs_pay_for_each_other() -> None:
    """Three contenders are three tests: each P is three times what it is alone, never above 1."""
    third = tuple(np.add(DRUG_1, 0.01 * np.arange(10)))
    alone = compare_pairs({"A": DRUG_1, "B": DRUG_2}, TEN)[0]
    pairs = compare_pairs({"A": DRUG_1, "B": DRUG_2, "C": third}, TEN)
    assert [(pair.first, pair.second) for pair in pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert pairs[0].p_t == pytest.approx(3 * (alone.p_t or 0))
    assert all((pair.p_t or 0) <= 1 for pair in pairs)


def test_scans_of_one_patient_are_one_observation() -> None:
    """Two scans of a patient are averaged; a scan without both values counts for neither."""
    patients = ("p", "p", "q", "r", "r")
    columns = {"A": (0.2, 0.4, 0.5, 0.9, None), "B": (0.1, 0.1, 0.3, 0.5, 0.6)}
    means = by_patient(list(columns.values()), patients)
    assert means == {"p": (pytest.approx(0.3), 0.1), "q": (0.5, 0.3), "r": (0.9, 0.5)}
    assert compare_pairs(columns, patients)[0].n == 3


def test_too_few_patients_are_said_in_words() -> None:
    """One patient: a difference but no test. No common value: neither."""
    (one,) = compare_pairs({"A": (0.5,), "B": (0.25,)}, ("p",))
    assert (one.n, one.difference, one.p_t, one.p_wilcoxon) == (1, 0.25, None, None)
    assert "at least 2" in one.note
    (none,) = compare_pairs({"A": (0.5, None), "B": (None, 0.5)}, ("p", "q"))
    assert (none.n, none.difference) == (0, None)
    assert none.note == "no patient has a value from both"


def test_a_wilcoxon_test_that_cannot_be_significant_says_so() -> None:
    """Of four patients the least possible P is .125, whatever the differences; left-out patients are counted."""
    (pair,) = compare_pairs({"A": (1.0, 2.0, 3.0, 4.5, 1.0), "B": (0.5, 1.0, 1.0, 1.0, None)}, tuple("abcde"))
    assert pair.p_wilcoxon == pytest.approx(0.125)
    assert "with 4 patients the Wilcoxon test cannot reach P < .05" in pair.note
    assert "1 patient without a value from both left out" in pair.note


def test_equal_contenders_differ_by_nothing() -> None:
    """No difference anywhere: 0, no P, and the reason."""
    (pair,) = compare_pairs({"A": DRUG_1, "B": DRUG_1}, TEN)
    assert (pair.difference, pair.p_t, pair.p_wilcoxon) == (0.0, None, None)
    assert "undefined" in pair.note


def test_over_all_contenders() -> None:
    """Two contenders: the repeated-measures ANOVA is the paired t test (F = t squared)."""
    assert over_all({"A": DRUG_1, "B": DRUG_2}, TEN).p == pytest.approx(0.002833, abs=1e-6)
    assert "at least 2 patients" in over_all({"A": (1.0,), "B": (2.0,)}, ("p",)).note
    assert over_all({"A": DRUG_1, "B": DRUG_1, "C": DRUG_1}, TEN).p is None
