"""Fit one member, resumable after a kill without losing more than one epoch."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network
from training.data.batches import Batches
from training.data.presets import Recipe
from training.data.slices import SlicePool
from training.errors import BadRecipe
from training.fit.averaging import average_with_start
from training.fit.checkpoint import Checkpoint, EpochRecord
from training.fit.devices import EvenBatches, data_parallel
from training.fit.losses import LOSSES
from training.fit.progress import OnEpoch, OnStep
from training.fit.validation import ValidationCases

_SECONDS_BETWEEN: Final = 1.0


@dataclass(frozen=True)
class Pools:
    """What a member sees: real scans alone in the first `real_only_epochs`, drawn ones among them afterwards."""

    real: SlicePool
    mixed: SlicePool


def fit_member(
    pools: Pools,
    recipe: Recipe,
    seed: int,
    folder: Path,
    stop_after: int | None = None,
    *,
    initial: Sequence[NDArray[Any]] | None = None,
    validation: ValidationCases | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> Path:
    """Train one member and return its weights file (Keras `.weights.h5`), averaged where the recipe says so.

    The same seed, data, backend and processor give the same weights; a second call goes on where the first was killed
    or where `stop_after` epochs ended it.

    Args:
        pools: the slices.
        recipe: how.
        seed: of weights, dropout and batches.
        folder: of the checkpoint.
        stop_after: end after so many epochs.
        initial: weights to start from in place of random ones, in the network's order; the optimizer starts fresh.
        validation: cases to score after each epoch.
        on_epoch: called with the record of each finished epoch, once it is on disk.
        on_step: called within an epoch.

    Raises:
        NotSaved: the disk is full; the last good checkpoint is still there.
        CheckpointLost: the checkpoint to go on from cannot be read.
        BadRecipe: the loss was NaN: the weights are of no use, and the checkpoint before is kept. Or the recipe
            averages with a start that is not given.
    """
    if recipe.start_share and initial is None:
        raise BadRecipe(f"{recipe.name} ends {recipe.start_share:.0%} of the way back to its start: expected one")
    _set_seed(seed)
    keras.config.set_dtype_policy(recipe.compute)
    checkpoint = Checkpoint(folder)
    with data_parallel() as devices:
        model = compile_network(recipe, seed, len(Batches(pools.mixed, recipe, seed, 0)))
        first = checkpoint.restore(model)
        if not first and initial is not None:
            model.set_weights(initial)
        if first < recipe.epochs and recipe.start_share:
            (folder / recipe.result_file).unlink(missing_ok=True)  # of a training that was thrown away
        validator = _Validation(recipe, validation, devices)
        history = list(checkpoint.history())
        last = min(recipe.epochs, stop_after or recipe.epochs)
        for epoch in range(first, last):
            _reseed_dropout(model, seed, epoch)
            pool = pools.real if epoch < recipe.real_only_epochs else pools.mixed
            batches = Batches(pool, recipe, seed, epoch)
            watching = [] if on_step is None else [_Steps(on_step, len(batches))]
            ran = model.fit(EvenBatches(batches, devices), epochs=1, verbose=0, shuffle=False, callbacks=watching)
            loss = float(ran.history["loss"][-1])
            if not np.isfinite(loss):
                raise BadRecipe(
                    f"{checkpoint.name}: the loss of epoch {epoch + 1} is {loss}: lower the learning_rate of "
                    f"{recipe.name}"
                )
            history.append(EpochRecord(epoch + 1, loss, validator.dsc(model)))
            checkpoint.save(model, epoch + 1, history)
            if on_epoch is not None:
                on_epoch(history[-1])
        finished = max(first, last)
        if finished < recipe.epochs:
            return checkpoint.weights(finished)
        result = folder / recipe.result_file
        if recipe.start_share and initial is not None and not result.exists():
            average_with_start(model, initial, recipe.start_share)
            checkpoint.save_result(model, result.name)
        return result


def _set_seed(seed: int) -> None:
    """Seed what initial weights are drawn from.

    `keras.utils.set_random_seed` imports TensorFlow wherever it is installed, whatever the backend. On JAX Python's own
    generator is enough: initializers take their seeds from it, and dropout has seeds of its own (`build_network`).
    """
    if keras.backend.backend() == "tensorflow":
        keras.utils.set_random_seed(seed)
    else:
        random.seed(seed)
        np.random.seed(seed)


class _Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the steps of an epoch, seldom enough to cost nothing."""

    def __init__(self, on_step: OnStep, steps: int) -> None:
        super().__init__()
        self._on_step, self._steps, self._last_report = on_step, steps, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras calls it after each step."""
        if logs is not None and time.monotonic() - self._last_report >= _SECONDS_BETWEEN:
            self._last_report = time.monotonic()
            self._on_step(batch + 1, self._steps, float(logs["loss"]))


class _Validation:
    """Scores a model in training; where it trains on crops, a second one of its weights sees whole slices."""

    def __init__(self, recipe: Recipe, cases: ValidationCases | None, devices: int) -> None:
        self._cases, self._devices = cases, devices
        self._whole = build_network(recipe.network) if cases is not None and recipe.crop else None

    def dsc(self, model: Any) -> float | None:
        if self._cases is None:
            return None
        if self._whole is not None:
            self._whole.set_weights(model.get_weights())
            model = self._whole
        return self._cases.dsc(model, self._devices)


def compile_network(recipe: Recipe, seed: int, steps_per_epoch: int) -> Any:
    """A model for the recipe's crops; the networks are fully convolutional, so its weights serve whole slices too."""
    spec = recipe.network
    size = recipe.crop or recipe.preprocessing.size
    model = build_network(NetworkSpecification(spec.squeeze_excitation, spec.variant, spec.width, size), seed)
    # XLA costs TensorFlow two to three times on a CPU here, and Keras would choose it by itself; JAX needs it.
    compiled = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(_schedule(recipe, steps_per_epoch)), LOSSES[recipe.loss], jit_compile=compiled)
    model.optimizer.build(model.trainable_variables)
    return model


def _reseed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Dropout masks are a function of (seed, epoch) too, so that a resumed run draws those of an unbroken one."""
    for index, layer in enumerate(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)):
        layer.seed_generator.state.assign([seed + index, epoch])


def _schedule(recipe: Recipe, steps_per_epoch: int) -> Any:
    if recipe.schedule == "inverse-time":
        return keras.optimizers.schedules.InverseTimeDecay(recipe.learning_rate, 1, recipe.learning_rate / 300)
    steps = recipe.epochs * steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10, steps, warmup_target=recipe.learning_rate, warmup_steps=max(1, steps // 20)
    )
