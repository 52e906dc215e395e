"""Lesion by lesion."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.lesions import count_lesions


def test_counts_by_hand() -> None:
    """Three manual lesions, two found; three predicted ones, two real; a corner joins voxels to one lesion."""
    manual = np.zeros((2, 10, 10), bool)
    predicted = np.zeros_like(manual)
    manual[0, 0, 0] = manual[1, 1, 1] = True  # one lesion: the voxels share a corner
    manual[0, 5, 5] = manual[0, 9, 9] = True
    predicted[1, 1, 1] = predicted[0, 5, 5] = predicted[0, 0, 9] = True
    found = count_lesions(predicted, manual)
    assert (found.manual, found.predicted, found.found, found.real) == (3, 3, 2, 2)
    assert found.recall == found.precision == found.f1 == pytest.approx(2 / 3)


def test_one_prediction_over_two_lesions() -> None:
    """One large predicted lesion that touches two manual ones finds both and is real once."""
    manual = np.zeros((1, 3, 9), bool)
    manual[0, 1, 1] = manual[0, 1, 7] = True
    predicted = np.zeros_like(manual)
    predicted[0, 1] = True
    found = count_lesions(predicted, manual)
    assert (found.found, found.real, found.predicted) == (2, 1, 1)


def test_without_lesions() -> None:
    """Recall needs manual lesions, precision predicted ones, F1 both; total disagreement is F1 0."""
    empty = np.zeros((1, 3, 9), bool)
    one, other = empty.copy(), empty.copy()
    one[0, 0, 0] = other[0, 2, 8] = True
    assert count_lesions(one, empty).recall is None
    assert count_lesions(one, empty).precision == 0
    assert count_lesions(empty, one).precision is None
    assert count_lesions(empty, empty).f1 is None
    assert count_lesions(one, other).f1 == 0
