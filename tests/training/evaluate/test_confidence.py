"""Confidence scores without a manual mask."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.confidence import inverse_volume, member_dice, soft_dice_confidence


def test_pairwise_dice_by_hand() -> None:
    """Masks {0,1}, {0,1}, {1,2}: Dice 1, 1/2, 1/2; the threshold belongs to the mask."""
    members = np.array([[0.5, 0.9, 0.1], [0.7, 0.6, 0.4], [0.2, 0.8, 0.5]])
    assert member_dice(members, 0.5) == pytest.approx(2 / 3)


def test_one_member_has_no_pair() -> None:
    """None, since nothing can be compared."""
    assert member_dice(np.ones((1, 3)), 0.5) is None


def test_soft_dice_confidence_by_hand() -> None:
    """2 (0.8 + 0.6) / (0.8 + 0.6 + 0.2 + 2) = 2.8 / 3.6; 1 for a sure mask; 0 where only doubt is left."""
    p = np.array([0.8, 0.6, 0.2])
    assert soft_dice_confidence(p, p >= 0.5) == pytest.approx(2.8 / 3.6)
    assert soft_dice_confidence(np.array([1.0, 0.0]), np.array([True, False])) == 1
    assert soft_dice_confidence(np.array([0.4]), np.array([False])) == 0
    assert soft_dice_confidence(np.zeros(3), np.zeros(3, bool)) is None


def test_nothing_predicted_has_no_inverse_volume() -> None:
    """1 / volume is None, not infinity, when nothing is predicted."""
    assert inverse_volume(0.0) is None
    assert inverse_volume(4.0) == 0.25
