"""What a training will cost, said before it starts: steps, disk, memory and time."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.data.cases import Case
from training.data.presets import Recipe
from training.fit.plan import TrainingPlan

_MEASURED_STEPS: Final = 3
_LABEL_BYTES: Final = 1
_REAL_BYTES: Final = 4
_DRAWN_BYTES: Final = 2


@dataclass(frozen=True)
class Cost:
    """Of a whole plan. Slices count at most: those without brain are left out later.

    Attributes:
        slices: preprocessed slices on disk, all variants.
        steps: optimizer steps of all members and stages.
        disk_gb: of the preprocessed slices.
        memory_gb: peak of this process after a few steps of the last stage; it does not grow with the cohort. The
            processes that preprocess, before the first step, are not in it.
        seconds: the steps at the measured speed on this machine, without preprocessing and validation.
        seconds_a_step: measured, of the last stage.
    """

    slices: int
    steps: int
    disk_gb: float
    memory_gb: float
    seconds: float
    seconds_a_step: float


def cost_of(plan: TrainingPlan, measure: Callable[[Recipe], float]) -> Cost:
    """Estimate a plan.

    Args:
        plan: checked already.
        measure: seconds of one step of a recipe on this machine, see `seconds_a_step`.
    """
    steps = seconds = last = 0.0
    for recipe in plan.stages:
        last = measure(recipe)
        of_stage = sum(_steps(recipe, plan.seen_by(member), plan.drawn) for member in range(len(plan.parts)))
        steps += of_stage
        seconds += of_stage * last
    slices, size = _on_disk(plan)
    # Kilobytes on Linux.
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Cost(slices, int(steps), size / 1e9, memory_gb, seconds, last)


def seconds_a_step(recipe: Recipe) -> float:
    """Of a few steps of the recipe's network on empty slices, after one that compiles it.

    `training.fit.backend.prepare_backend` comes first.
    """
    # Keras loads its backend when it is imported.
    import keras

    from training.fit.fit import compile_network

    # As `fit_member` does: bfloat16 may take half the time of float32.
    keras.config.set_dtype_policy(recipe.compute)
    model = compile_network(recipe, seed=0, steps_per_epoch=1)
    size = recipe.crop or recipe.preprocessing.size
    images = np.zeros((recipe.batch_size, size, size, 1), np.float32)
    model.train_on_batch(images, images)
    start = time.perf_counter()
    for _ in range(_MEASURED_STEPS):
        model.train_on_batch(images, images)
    return (time.perf_counter() - start) / _MEASURED_STEPS


def _steps(recipe: Recipe, cases: Sequence[Case], drawn: Sequence[Case]) -> int:
    if recipe.steps_per_epoch is not None:
        return recipe.epochs * recipe.steps_per_epoch
    slices = sum(case.facts.shape[0] for case in cases)
    share = recipe.synthetic_share if drawn else 0.0
    mixed = slices + round(slices * share / (1 - share))
    alone = min(recipe.real_only_epochs, recipe.epochs)
    return alone * -(-slices // recipe.batch_size) + (recipe.epochs - alone) * -(-mixed // recipe.batch_size)


def _on_disk(plan: TrainingPlan) -> tuple[int, float]:
    """Slices and bytes; stages with one input contract share them (`training.data.slice_store.key_of`)."""
    slices, size = 0, 0.0
    contracts: dict[tuple[object, ...], list[Recipe]] = {}
    for stage in plan.stages:
        contract = (
            stage.preprocessing,
            stage.scalp_factors,
            stage.brain_margins_mm,
            stage.ignored_rim_mm,
            stage.ignored_rim_sd,
        )
        contracts.setdefault(contract, []).append(stage)
    for recipe, *others in contracts.values():
        pixels = recipe.preprocessing.size**2
        variants = len(recipe.brain_margins_mm if recipe.preprocessing.scale == "brain-alone" else recipe.scalp_factors)
        seen = {case.name: case for member in range(len(plan.parts)) for case in plan.seen_by(member)}
        real = sum(case.facts.shape[0] for case in seen.values())
        is_mixed = any(stage.synthetic_share for stage in (recipe, *others))
        drawn = sum(case.facts.shape[0] for case in plan.drawn) if is_mixed else 0
        slices += real * variants + drawn
        size += pixels * (real * (variants * _REAL_BYTES + _LABEL_BYTES) + drawn * (_DRAWN_BYTES + _LABEL_BYTES))
    return slices, size
