"""The finished members of a run of `training.bundle.reference fit`, or of a bundle, as Keras models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from segmentation.bundle import MANIFEST_NAME, ModelBundle, load_bundle
from segmentation.mirroring import mirrored_mean
from training.bundle.scores import MemberScore, judge, leave_out_scores
from training.data.cases import LabelledCase
from training.data.presets import PRESETS, Recipe
from training.errors import BadCohort
from training.fit.temperature import fold_in, held_out_temperature

FOLDS_FILE: Final = "folds.json"


@dataclass(frozen=True)
class TrainedMembers:
    """The finished members, by number from 0, in float32.

    Attributes:
        recipe: how they were trained.
        held_out: per fold, the patients that the member of that number never saw.
        models: the networks; the number after the last fold saw every patient.
    """

    recipe: Recipe
    held_out: tuple[tuple[str, ...], ...]
    models: Mapping[int, Any]

    @classmethod
    def load(cls, run: Path) -> TrainedMembers:
        """What is finished of a run."""
        import keras

        from segmentation.networks.unet import build_network

        keras.config.set_dtype_policy("float32")
        stand = json.loads((run / FOLDS_FILE).read_text())
        recipe = PRESETS[stand["preset"]]
        held_out = tuple(map(tuple, stand["held_out"]))
        models = {}
        for member in range(len(held_out) + 1):
            if (file := run / f"member-{member}" / recipe.result_file).exists():
                models[member] = build_network(recipe.network)
                models[member].load_weights(file)
        return cls(recipe, held_out, models)

    @classmethod
    def of_bundle(cls, bundle: ModelBundle) -> TrainedMembers:
        """The WMH members of a bundle, with their calibration.

        Raises:
            BadCohort: the bundle does not state which patients each member never saw.
        """
        from segmentation.networks.rebuild import keras_network

        preset = PRESETS[bundle.manifest.training.recipe]
        recipe = replace(preset, network=bundle.specification, preprocessing=bundle.preprocessing)
        networks = (keras_network(bundle.specification, bundle.graph, weights) for weights in bundle.weights)
        return cls(recipe, _held_out(bundle), dict(enumerate(networks)))

    @classmethod
    def ventricles_of_bundle(cls, bundle: ModelBundle, preset: str) -> TrainedMembers:
        """The ventricle network of a bundle, which saw every patient.

        Raises:
            BadCohort: the bundle has none.
        """
        from segmentation.networks.rebuild import keras_network

        if bundle.ventricles is None:
            raise BadCohort(f"expected a bundle with a ventricle network, got {bundle.identity.name} without")
        network = bundle.ventricles.networks
        held_out = _held_out(bundle)
        model = keras_network(network.specification, network.graph, network.weights[0])
        recipe = replace(PRESETS[preset], network=network.specification, is_mirrored=bundle.ventricles.is_mirrored)
        return cls(recipe, held_out, {len(held_out): model})

    def require(self, members: Iterable[int]) -> None:
        """All of these are finished.

        Raises:
            BadCohort: which are not.
        """
        if missing := sorted(set(members) - self.models.keys()):
            raise BadCohort(
                f"{self.recipe.name}: expected members {_numbers(members)} trained to the end, "
                f"{_numbers(missing)} are not: run the same fit command again"
            )

    def predict(self, member: int, images: Any) -> Any:
        """Probabilities of one member, as a bundle's user gets them."""
        from training.fit.fit import predict_slices

        predict = partial(predict_slices, self.models[member])
        return mirrored_mean(predict, images) if self.recipe.is_mirrored else predict(images)

    def scores(self, cases: Sequence[LabelledCase]) -> list[MemberScore]:
        """Each case by the member that never saw its patient."""
        return leave_out_scores(cases, self.held_out, self.predict, self.recipe.preprocessing, self.recipe.target)

    def calibrate(self, cases: Sequence[LabelledCase]) -> float | None:
        """Fold the temperature of all members together into each, where the recipe has one.

        It is fitted on the patients that each never saw.
        """
        if not self.recipe.is_calibrated:
            return None
        pairs = ((case, partial(self.predict, judge(case, self.held_out))) for case in cases)
        temperature = held_out_temperature(pairs, self.recipe.preprocessing)
        if temperature is not None:
            for model in self.models.values():
                fold_in(model, temperature)
        return temperature


def start_weights(start: Path, recipe: Recipe, member: int, held_out: Sequence[Sequence[str]]) -> list[Any]:
    """The weights that a member of a recipe goes on from: of the same member of a run, or of a bundle.

    Args:
        start: the run's folder, or the bundle's.
        recipe: of the stage that goes on.
        member: from 0.
        held_out: per fold, the patients that the member of that number must not have seen.

    Raises:
        BadCohort: that member is not finished, of another preset than the recipe goes on from, or of other folds.
    """
    is_bundle = (start / MANIFEST_NAME).exists()
    trained = TrainedMembers.of_bundle(load_bundle(start)) if is_bundle else TrainedMembers.load(start)
    if trained.recipe.name != recipe.start_from:
        raise BadCohort(f"{recipe.name}: expected a start of {recipe.start_from}, got {trained.recipe.name}")
    if [set(fold) for fold in trained.held_out] != [set(fold) for fold in held_out]:
        raise BadCohort(
            f"{recipe.name}: expected a start trained with the same folds of patients, got other folds in "
            f"{start.name}/: its members have seen patients that are now held out"
        )
    trained.require([member])
    return list(trained.models[member].get_weights())


def _held_out(bundle: ModelBundle) -> tuple[tuple[str, ...], ...]:
    held_out = bundle.manifest.training.held_out
    if held_out is None:
        raise BadCohort(
            f"expected a bundle that states which patients each member never saw, got {bundle.identity.name}"
        )
    return held_out


def _numbers(members: Iterable[int]) -> str:
    return ", ".join(map(str, members))
