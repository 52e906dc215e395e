"""Losses on (batch, row, column, 1) labels and probabilities."""

from __future__ import annotations

from typing import Any

from keras import losses, ops

_EPSILON = 1e-6


def dice_loss(labels: Any, probabilities: Any) -> Any:
    """Minus the Dice of the flattened batch (the published code)."""
    labels = ops.cast(labels, probabilities.dtype)
    overlap = ops.sum(labels * probabilities)
    return -(2 * overlap + _EPSILON) / (ops.sum(labels) + ops.sum(probabilities) + _EPSILON)


def dice_and_cross_entropy(labels: Any, probabilities: Any) -> Any:
    """`dice_loss` plus binary cross-entropy, which keeps a gradient where Dice saturates on small lesions."""
    return dice_loss(labels, probabilities) + ops.mean(losses.binary_crossentropy(labels, probabilities))


LOSSES = {"dice": dice_loss, "dice+bce": dice_and_cross_entropy}
