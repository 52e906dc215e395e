"""Confidence scores that the uncertainty index has to beat; each needs no manual mask.

The index itself is in `segmentation.uncertainty`. The plainest rival is 1 / predicted volume: the index is confounded
by volume (paper, Fig 1E).
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.dice import dice


def member_dice(members: NDArray[Any], threshold: float) -> float | None:
    """Mean Dice of all pairs of members (Zenk 2025, arXiv:2406.03323); None with fewer than two members.

    Args:
        members: probabilities (member, slice, row, column).
        threshold: a voxel at or above it is predicted.
    """
    masks = [member >= threshold for member in members]
    pairs = [dice(first, second) for first, second in combinations(masks, 2)]
    return float(np.mean(pairs)) if pairs else None


def soft_dice_confidence(probability: NDArray[Any], mask: NDArray[np.bool_]) -> float | None:
    """Soft Dice Confidence 2 sum(p m) / sum(p + m) (Borges 2024, arXiv:2402.10665); None where all is zero."""
    p_sum = float(probability.sum(dtype=np.float64))
    total = p_sum + int(mask.sum())
    return 2 * float(probability[mask].sum(dtype=np.float64)) / total if total else None


def inverse_volume(predicted_ml: float) -> float | None:
    """1 / predicted volume; None when nothing is predicted."""
    return 1 / predicted_ml if predicted_ml else None
