"""What a dry run says of a training is what the training then does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import pytest
from support.labelled_cases import labelled_case
from support.training_runs import tiny_recipe

from training.data.presets import Recipe
from training.fit.estimate import cost_of, seconds_a_step
from training.fit.plan import TrainingPlan, make_plan


@pytest.fixture
def policy_stays() -> Iterator[None]:
    """The process's number format is as before."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def _plan(recipe: Recipe) -> TrainingPlan:
    cases = [replace(labelled_case(f"p{index}", seed=index), split="train") for index in range(5)]
    return make_plan(cases, [labelled_case("d", seed=9)], recipe, members=2)


def test_steps_slices_and_disk() -> None:
    """Two members, each on four of five cases of three slices and as many drawn slices; each slice is stored once."""
    recipe = tiny_recipe(synthetic_share=0.5, steps_per_epoch=None, scalp_factors=(1.0, 0.5))
    cost = cost_of(_plan(recipe), lambda _: 0.5)
    assert cost.steps == 2 * recipe.epochs * (12 + 12) // recipe.batch_size
    assert cost.seconds == cost.steps * 0.5
    assert cost.slices == 15 * 2 + 3
    assert cost.disk_gb == pytest.approx(32 * 32 * (15 * (2 * 4 + 1) + 3 * (2 + 1)) / 1e9)


def test_stages_that_learn_otherwise_have_slices_of_their_own() -> None:
    """Another ignored rim is stored apart; drawn scans count where any stage of the same slices mixes them in."""
    plan = _plan(tiny_recipe(synthetic_share=0.5))
    mixed, real = plan.recipe, replace(plan.recipe, synthetic_share=0.0)
    cost = {
        name: cost_of(replace(plan, stages=stages), lambda _: 0.5).slices
        for name, stages in (("one", (mixed, real)), ("two", (real, replace(mixed, ignored_rim_mm=5.0))))
    }
    assert cost == {"one": 15 + 3, "two": 15 + 15 + 3}


@pytest.mark.usefixtures("policy_stays")
def test_the_step_is_measured_in_the_recipes_number_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step in bfloat16 is not timed in float32."""
    used: list[str] = []

    class Model:
        def train_on_batch(self, *_: object) -> None:
            used.append(keras.config.dtype_policy().name)

    monkeypatch.setattr("training.fit.fit.compile_network", lambda *_, **__: Model())
    seconds_a_step(tiny_recipe(compute="mixed_bfloat16"))
    assert set(used) == {"mixed_bfloat16"}
