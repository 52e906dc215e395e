"""The bundle of a finished run: its members, the ventricle network of another run, and a model card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.bundle.cohort_card import CardFacts, cohort_card
from training.data.recipe_settings import recipe_of
from training.errors import BadRecipe, NotSaved, OtherRun
from training.files import replacing
from training.fit.plan import TrainingPlan
from training.fit.run import final_records
from training.fit.run_folder import RunFolder, software

if TYPE_CHECKING:
    from segmentation.bundle import ModelBundle
    from training.bundle.scores import MemberScore
    from training.data.presets import Recipe

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VERSION = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.-]{1,32})?")


@dataclass(frozen=True)
class BundleName:
    """What a bundle states about itself.

    Attributes:
        name: lower-case slug.
        version: `major.minor.patch`.
        licence: of the weights.
        data: description of the cohort, for the manifest and the card.
        tells_patients: whether the manifest lists the patients' names of patients.csv, so that `evaluate` can tell
            whom a member never saw, and the card the names of cases and sites. No where they must not leave the house.
    """

    name: str = "wmh-se-unet"
    version: str = "0.1.0"
    licence: str = "not stated: the owner of the training data decides"
    data: str = "own cohort"
    tells_patients: bool = True

    def __post_init__(self) -> None:
        """A name that the manifest refuses must be reported before days of training, not after."""
        if not _SLUG.fullmatch(self.name):
            raise BadRecipe(f"--name: expected lower-case letters, digits and hyphens, got {self.name!r}")
        if not _VERSION.fullmatch(self.version):
            raise BadRecipe(f"--version: expected major.minor.patch, got {self.version!r}")
        if not self.licence or not self.data:
            raise BadRecipe("--licence, --data-name: expected text, got none")


@dataclass(frozen=True)
class VentricleRun:
    """A finished `--target ventricles` run.

    Attributes:
        weights: of its first member.
        recipe: how it was trained.
        patients: all that it saw.
    """

    weights: Path
    recipe: Recipe
    patients: tuple[str, ...]


def ventricle_run(run: Path, plan: TrainingPlan) -> VentricleRun:
    """The run whose network goes into the bundle of a plan.

    Raises:
        OtherRun: not such a run, not finished, of another input, or of patients that the plan keeps for the test.
    """
    try:
        document = json.loads((run / "run.json").read_text(encoding="utf-8"))
        recipe, patients = recipe_of(document["recipe"]), tuple(map(str, document["patients"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OtherRun(f"--ventricles: expected the --out folder of a training, got {run.name}/") from error
    if recipe.target != "ventricles":
        raise OtherRun(f"--ventricles: expected a training with --target ventricles, got one of {recipe.target}")
    if recipe.preprocessing != plan.recipe.preprocessing:
        raise OtherRun(
            "--ventricles: expected a network of the same preprocessing, got another: train both with the same settings"
        )
    weights = run / "member-0" / recipe.result_file
    if not weights.exists():
        raise OtherRun(f"--ventricles: {run.name}/ is not finished; run its command again first")
    kept = {case.patient for case in plan.cases if case.split not in ("train", "validation")}
    if seen := sorted(kept & set(patients)):
        raise OtherRun(
            f"--ventricles: {run.name}/ was trained on {len(seen)} patients that this training keeps for the test, "
            f"{seen[0]} among them: train both with one patients.csv and one --seed"
        )
    return VentricleRun(weights, recipe, patients)


def bundle_run(
    plan: TrainingPlan, folder: RunFolder, name: BundleName, backend: str, ventricles: Path | None
) -> ModelBundle:
    """Write RUN/bundle whole or not at all; one that is there is replaced.

    Raises:
        BadBundle: weights that no bundle can hold.
        OtherRun: `ventricles` is not a finished run of ventricles.
        NotSaved: the disk is full; the members are safe, and the bundle before, if there was one, is still there.
    """
    import keras

    from segmentation.bundle import load_bundle, write_bundle
    from segmentation.manifest import DataSource, Training
    from training.fit.fit import load_network

    extra = None if ventricles is None else ventricle_run(ventricles, plan)
    keras.config.set_dtype_policy("float32")
    models = [load_network(plan.recipe, _weights(plan, folder, member)) for member in range(len(plan.parts))]
    temperature = _calibrate(plan, models)
    software_used = software(backend)
    facts = CardFacts(
        name.name,
        name.version,
        name.licence,
        name.data,
        backend,
        software_used,
        tuple(final_records(plan, folder, range(len(models))).values()),
        temperature,
        name.tells_patients,
    )
    # Two processes that end together write it one after the other.
    with folder.alone(), _told(folder), replacing(folder.bundle) as partial:
        write_bundle(
            partial,
            models,
            name=name.name,
            version=name.version,
            specification=plan.recipe.network,
            preprocessing=plan.recipe.preprocessing,
            training=Training(
                software=software_used,
                recipe=plan.recipe.name,
                data=(DataSource(name=name.data, licence=name.licence, source="run.json of the training"),),
                patients=_patients(plan, extra) if name.tells_patients else None,
                held_out=_held_out(plan) if name.tells_patients else None,
            ),
            licence=name.licence,
            model_card=cohort_card(plan, facts, _held_out_scores(plan, models)),
            ventricles=None if extra is None else load_network(extra.recipe, extra.weights),
            mirrors_ventricles=extra is not None and extra.recipe.is_mirrored,
            temperature=temperature,
        )
    return load_bundle(folder.bundle)


@contextmanager
def _told(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotSaved(
            f"{folder.path.name}/bundle could not be written ({error.strerror or type(error).__name__}); all "
            "members are trained and saved. Free some space and run the same command again"
        ) from error


def _calibrate(plan: TrainingPlan, models: list[Any]) -> float | None:
    """Fold a temperature into the members, from the training and validation patients that each never saw."""
    from training.fit.fit import predict_slices
    from training.fit.temperature import fold_in, held_out_temperature

    if not plan.recipe.is_calibrated:
        return None
    pairs = (
        (case, partial(predict_slices, model))
        for member, model in enumerate(models)
        for case in plan.cases
        if case.split in ("train", "validation") and case.patient in plan.never_seen_by(member)
    )
    temperature = held_out_temperature(pairs, plan.recipe.preprocessing)
    if temperature is not None:
        for model in models:
            fold_in(model, temperature)
    return temperature


def _patients(plan: TrainingPlan, ventricles: VentricleRun | None) -> tuple[str, ...]:
    """Whom any network of the bundle saw."""
    return tuple(sorted({*plan.patients(), *(ventricles.patients if ventricles else ())}))


def _weights(plan: TrainingPlan, folder: RunFolder, member: int) -> Path:
    weights = folder.weights(plan, member)
    if weights is None:
        raise OtherRun(f"member {member} of {folder.path.name}/ is not finished; run the same command again")
    return weights


def _held_out(plan: TrainingPlan) -> tuple[tuple[str, ...], ...]:
    return tuple(plan.never_seen_by(member) for member in range(len(plan.parts)))


def _held_out_scores(plan: TrainingPlan, models: list[Any]) -> list[MemberScore]:
    """With folds every training patient has one member that never saw the patient: its DSC, on the native grid."""
    from training.bundle.scores import leave_out_scores
    from training.fit.fit import predict_slices

    if plan.scheme != "folds":
        return []
    return leave_out_scores(
        [case for case in plan.cases if case.split == "train"],
        [part.held_out for part in plan.parts],
        lambda member, images: predict_slices(models[member], images),
        plan.recipe.preprocessing,
    )
