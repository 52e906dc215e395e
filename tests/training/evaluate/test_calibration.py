"""Calibration near lesions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from training.evaluate.calibration import count_reliability, near_lesions, reliability_curve


def test_ece_by_hand() -> None:
    """Four voxels at 0.75 of which two are lesion, six at 0.25 of which none: ECE 0.4 * 0.25 + 0.6 * 0.25 = 0.25."""
    p = np.array([0.75] * 4 + [0.25] * 6)
    y = np.array([True, True, False, False] + [False] * 6)
    counts = count_reliability(p, y, 10)
    assert counts.ece == pytest.approx(0.25)
    assert counts.brier == pytest.approx((2 * 0.25**2 + 2 * 0.75**2 + 6 * 0.25**2) / 10)


def test_cases_are_pooled_by_voxel() -> None:
    """A case with more voxels weighs more in the pooled curve; a bin without voxels has no frequency."""
    small = count_reliability(np.array([0.95]), np.array([False]), 10)
    large = count_reliability(np.full(9, 0.95), np.ones(9, bool), 10)
    curve = reliability_curve([small, large], 10, 5.0)
    assert curve.bins[9].observed == pytest.approx(0.9)
    assert curve.bins[9].voxels == 10
    assert curve.bins[0].observed is None
    assert curve.ece == pytest.approx(0.05)


def test_near_is_in_millimetres() -> None:
    """5 mm reach 5 pixels of 1 mm, and not the next slice at 6 mm; far voxels would hide every fault."""
    manual = np.zeros((3, 1, 20), bool)
    manual[1, 0, 10] = True
    near = near_lesions(np.zeros_like(manual), manual, (6.0, 1.0, 1.0), 5.0)
    assert np.flatnonzero(near[1, 0]).tolist() == list(range(5, 16))
    assert not near[0].any()


def test_no_lesion_no_curve() -> None:
    """Without a manual or predicted lesion there is no voxel to score, and the note says so."""
    empty = np.zeros((2, 4, 4), bool)
    near = near_lesions(empty, empty, (1, 1, 1), 5.0)
    counts = count_reliability(np.zeros(empty.shape)[near], empty[near], 10)
    assert counts.ece is None
    assert counts.brier is None
    curve = reliability_curve([counts], 10, 5.0)
    assert curve.ece is None
    assert "no case" in curve.note


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_brier_as_scikit_learn_has_it(voxels: list[tuple[float, bool]]) -> None:
    """The Brier score is scikit-learn's; every voxel is in one bin, also at exactly 0 and 1."""
    p, y = np.array([v[0] for v in voxels]), np.array([v[1] for v in voxels])
    counts = count_reliability(p, y, 10)
    assert counts.voxels.sum() == len(voxels)
    assert counts.brier == pytest.approx(brier_score_loss(y, p, labels=[False, True]))
