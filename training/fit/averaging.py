"""Weights between those that a recipe started from and those that it reached.

Fine-tuning on synthetic scans teaches other scanners and forgets some of the readers' habits in the real masks. Weights
half way keep most of both, at no cost when the model runs (Wortsman et al., "Robust fine-tuning of zero-shot models",
CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray


def average_with_start(model: Any, start: Sequence[NDArray[Any]], share: float) -> None:
    """Set every weight of a Keras model to `share` of the start's and the rest of its own.

    Args:
        model: the trained network; changed.
        start: the weights that its training started from, in the order of `model.get_weights()`.
        share: 0 (leave it) to 1 (undo the training).
    """
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share from 0 to 1, got {share}")
    pairs = zip(model.get_weights(), start, strict=True)
    model.set_weights([(1 - share) * own + share * old for own, old in pairs])
