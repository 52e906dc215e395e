"""The uncertainty index of Kim, Ryu et al. (AJNR 2024;45:1885), in bits, on the ensemble's mean probability.

KL(p || 0.5) = 1 - H(p) in bits: 0 where the ensemble is undecided (p = 0.5), 1 where it is sure (p = 0 or 1).
A predicted voxel (p >= 0.5) is uncertain when its KL is under 0.5, that is 0.5 <= p < 0.8900. The index is the fraction
of predicted voxels that are uncertain, and undefined (None) where nothing is predicted.

Three traps, each with a test: thresholding H instead of KL gives 1 - UI; natural logarithms move the limit from 0.8900
to 0.9518; a two-channel entropy over a stacked axis counts the channel twice.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

UNCERTAIN_BELOW_BITS: Final = 0.5


def confidence_bits(probability: NDArray[Any]) -> NDArray[np.float64]:
    """KL divergence in bits of (p, 1 - p) from (0.5, 0.5): 1 - H(p), between 0 and 1; same shape as `probability`.

    The limits p = 0 and p = 1 are taken exactly (0 log 0 = 0), so that no NaN arises.
    """
    p = np.asarray(probability, dtype=np.float64)
    entropy = -(_p_log2_p(p) + _p_log2_p(1.0 - p))
    return np.clip(1.0 - entropy, 0.0, 1.0)


def uncertainty_index(probability: NDArray[Any], mask: NDArray[np.bool_]) -> float | None:
    """Fraction of the predicted voxels whose confidence is under 0.5 bit.

    Args:
        probability: the ensemble's mean probability, any shape.
        mask: the predicted voxels, same shape.

    Returns:
        0..1, or None when nothing is predicted (never NaN).
    """
    if probability.shape != mask.shape:
        raise ValueError(f"expected a mask of shape {probability.shape}, got {mask.shape}")
    predicted = probability[mask]
    if predicted.size == 0:
        return None
    return float(np.mean(confidence_bits(predicted) < UNCERTAIN_BELOW_BITS))


def _p_log2_p(p: NDArray[np.float64]) -> NDArray[np.float64]:
    safe = np.where(p > 0.0, p, 1.0)
    return p * np.log2(safe)
