"""The finished members of a run of `training.reference fit`, or of a bundle, as Keras models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from segmentation.bundle import ModelBundle
from segmentation.mirroring import mirrored_mean
from training.averaging import average_with_start
from training.cases import LabelledCase
from training.errors import BadCohort
from training.presets import PRESETS, Recipe
from training.scores import MemberScore, judge, leave_out_scores
from training.temperature import fold_in, held_out_temperature

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
    def load(cls, run: Path, start: Path | None = None) -> TrainedMembers:
        """What is finished of a run; averaged with the weights that it started from where the recipe says so.

        Raises:
            BadCohort: the recipe averages, and `start` is not given.
        """
        import keras

        from segmentation.networks.unet import build_network

        keras.config.set_dtype_policy("float32")
        stand = json.loads((run / FOLDS_FILE).read_text())
        recipe = PRESETS[stand["preset"]]
        held_out = tuple(map(tuple, stand["held_out"]))
        if recipe.start_share and start is None:
            raise BadCohort(f"{recipe.name} is averaged with {recipe.start_from}: say --start, that one's folder")
        models = {}
        for member in range(len(held_out) + 1):
            if not _weights_file(run, recipe, member).exists():
                continue
            model = build_network(recipe.network)
            model.load_weights(weights_of(run, recipe, member))
            if recipe.start_share and start is not None:
                before = build_network(recipe.network)
                before.load_weights(weights_of(start, PRESETS[str(recipe.start_from)], member))
                average_with_start(model, before, recipe.start_share)
            models[member] = model
        return cls(recipe, held_out, models)

    @classmethod
    def of_bundle(cls, bundle: ModelBundle) -> TrainedMembers:
        """The WMH members of a bundle, calibrated as they are.

        Raises:
            BadCohort: the bundle does not tell whom each member never saw.
        """
        from segmentation.networks.rebuild import keras_network

        recipe = replace(PRESETS[bundle.manifest.training.recipe], network=bundle.specification)
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
        from training.fit import predict_slices

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


def weights_of(run: Path, recipe: Recipe, member: int) -> Path:
    """The weights file of a finished member.

    Raises:
        BadCohort: it is not finished.
    """
    file = _weights_file(run, recipe, member)
    if not file.exists():
        raise BadCohort(
            f"expected the weights of {recipe.name} after epoch {recipe.epochs} in {run.name}/member-{member}, "
            "found none: train that member first"
        )
    return file


def _weights_file(run: Path, recipe: Recipe, member: int) -> Path:
    return run / f"member-{member}" / f"epoch-{recipe.epochs:03d}.weights.h5"


def _held_out(bundle: ModelBundle) -> tuple[tuple[str, ...], ...]:
    held_out = bundle.manifest.training.held_out
    if held_out is None:
        raise BadCohort(f"expected a bundle that tells whom each member never saw, got {bundle.identity.name}")
    return held_out


def _numbers(members: Iterable[int]) -> str:
    return ", ".join(map(str, members))
