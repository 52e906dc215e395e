"""Dice similarity coefficient (paper, "Segmentation Performance Evaluation Metrics")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dice(predicted: NDArray[np.bool_], manual: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|); two empty masks agree completely (1), one empty mask not at all (0)."""
    total = int(predicted.sum()) + int(manual.sum())
    return 1.0 if total == 0 else 2.0 * int((predicted & manual).sum()) / total
