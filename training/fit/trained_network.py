"""A trained network for whole slices: its weights read, its predictions made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segmentation.networks.unet import build_network
from training.data.presets import Recipe


def load_network(recipe: Recipe, weights: Path) -> Any:
    """The recipe's network for whole slices, with weights that `fit_member` wrote on any backend."""
    model = build_network(recipe.network)
    model.load_weights(weights, skip_mismatch=False)
    return model


def predict_slices(model: Any, images: np.ndarray, batch_size: int = 4) -> np.ndarray:
    """Probabilities float32 (slice, row, column) of normalised slices of the same shape."""
    return np.asarray(model.predict(images[..., None], batch_size=batch_size, verbose=0), np.float32)[..., 0]
