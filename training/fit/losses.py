"""Losses on (batch, row, column, 1) labels and probabilities.

Labels are 1 for WMH, 0 for none, and `UNKNOWN` where the mask says nothing: such voxels count in no loss.
"""

from __future__ import annotations

from typing import Any

from keras import losses, ops

from training.data.ignored import UNKNOWN

_EPSILON = 1e-6


def dice_loss(labels: Any, probabilities: Any) -> Any:
    """1 - Dice of the flattened batch; the published code leaves out the 1, which changes no gradient."""
    truth, known = _truth(labels, probabilities)
    probabilities = probabilities * known
    overlap = ops.sum(truth * probabilities)
    return 1 - (2 * overlap + _EPSILON) / (ops.sum(truth) + ops.sum(probabilities) + _EPSILON)


def dice_and_cross_entropy(labels: Any, probabilities: Any) -> Any:
    """`dice_loss` plus binary cross-entropy, which keeps a gradient where Dice saturates on small lesions."""
    truth, known = _truth(labels, probabilities)
    entropy = losses.binary_crossentropy(truth, probabilities) * known[..., 0]
    return dice_loss(labels, probabilities) + ops.sum(entropy) / (ops.sum(known) + _EPSILON)


def _truth(labels: Any, probabilities: Any) -> tuple[Any, Any]:
    """The labels with 0 where they are unknown, and 1 where they are known; both in the probabilities' type."""
    labels = ops.cast(labels, probabilities.dtype)
    known = ops.cast(labels > UNKNOWN / 2, probabilities.dtype)
    return labels * known, known


LOSSES = {"dice": dice_loss, "dice+bce": dice_and_cross_entropy}
