"""Fit one member, resumable after a kill without losing more than one epoch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network
from training.losses import LOSSES
from training.presets import Recipe
from training.slices import Batches, SlicePool

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Pools:
    """What a member sees: real scans alone in the first `real_only_epochs`, phantoms among them afterwards."""

    real: SlicePool
    mixed: SlicePool


@dataclass(frozen=True)
class Checkpoint:
    """Where a member's fit stands on disk: `weights` and `optimizer` belong to `epoch` finished epochs."""

    folder: Path

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    def finished_epochs(self) -> int:
        """Epochs whose weights are on disk."""
        return int(json.loads(self._state.read_text())["epochs"]) if self._state.exists() else 0

    def weights(self, epochs: int) -> Path:
        """Weights after that many epochs."""
        return self.folder / f"epoch-{epochs:03d}.weights.h5"

    def save(self, model: Any, epochs: int) -> None:
        """Weights and optimizer first, then the state that names them, so that a kill leaves the last good pair."""
        self.folder.mkdir(parents=True, exist_ok=True)
        model.save_weights(self.weights(epochs))
        temporary = self.folder / "state.json.tmp"
        with temporary.open("w") as out:
            json.dump({"epochs": epochs}, out)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(self._state)
        for old in self.folder.glob("epoch-*.weights.h5"):
            if old != self.weights(epochs):
                old.unlink()


def fit_member(
    pools: Pools,
    recipe: Recipe,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    stop_after: int | None = None,
) -> Path:
    """Train one member and return its weights file (Keras `.weights.h5`).

    The same seed, data and machine give the same weights; a second call goes on where the first was killed or where
    `stop_after` epochs ended it.
    """
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(recipe.compute)
    checkpoint = Checkpoint(folder)
    first = checkpoint.finished_epochs()
    model = _compile(recipe, seed)
    if first:
        model.load_weights(checkpoint.weights(first))
    last = min(recipe.epochs, stop_after or recipe.epochs)
    for epoch in range(first, last):
        _reseed_dropout(model, seed, epoch)
        pool = pools.real if epoch < recipe.real_only_epochs else pools.mixed
        batches = Batches(pool, recipe, seed, epoch)
        history = model.fit(batches, epochs=1, verbose=0, shuffle=False)
        checkpoint.save(model, epoch + 1)
        if progress is not None:
            progress(epoch + 1, recipe.epochs, float(history.history["loss"][-1]))
    return checkpoint.weights(last)


def _compile(recipe: Recipe, seed: int) -> Any:
    """A model for the recipe's crops; the networks are fully convolutional, so its weights serve whole slices too."""
    spec = recipe.network
    size = recipe.crop or recipe.preprocessing.size
    model = build_network(NetworkSpecification(spec.squeeze_excitation, spec.variant, spec.width, size), seed)
    # XLA costs two to three times on a CPU here, and Keras would choose it by itself.
    model.compile(keras.optimizers.Adam(_schedule(recipe)), LOSSES[recipe.loss], jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def _reseed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Dropout masks are a function of (seed, epoch) too, so that a resumed run draws those of an unbroken one."""
    for index, layer in enumerate(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)):
        layer.seed_generator.state.assign([seed + index, epoch])


def _schedule(recipe: Recipe) -> Any:
    if recipe.schedule == "inverse-time":
        return keras.optimizers.schedules.InverseTimeDecay(recipe.learning_rate, 1, recipe.learning_rate / 300)
    steps = recipe.epochs * (recipe.steps_per_epoch or 1)
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10, steps, warmup_target=recipe.learning_rate, warmup_steps=max(1, steps // 20)
    )


def predict_slices(model: Any, images: np.ndarray, batch_size: int = 4) -> np.ndarray:
    """Probabilities float32 (slice, row, column) of normalised slices of the same shape."""
    return np.asarray(model.predict(images[..., None], batch_size=batch_size, verbose=0), np.float32)[..., 0]
