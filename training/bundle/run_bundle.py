"""What a finished run ends with: the scores of a run by folds, and the bundle of its members with a model card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.bundle import ModelBundle, load_bundle, write_bundle
from segmentation.manifest import Training
from segmentation.mirroring import mirrored_mean
from segmentation.preprocessing.settings import PreprocessingSettings
from training.bundle.about import BundleName
from training.bundle.anatomy.score import network as anatomy_network
from training.bundle.model_card import CardFacts, model_card
from training.bundle.parts import BundleParts
from training.bundle.scores import MemberScore, RunScores, leave_out_scores
from training.data.ignored import with_ignored_rims
from training.errors import NotSaved, OtherRun
from training.files import replacing, write_whole
from training.fit.calibration import Calibration, fold_in, held_out_calibration
from training.fit.plan import TrainingPlan
from training.fit.run import final_records
from training.fit.run_folder import RunFolder, software

# Keras, and what imports it, is imported where it is used: it loads its backend, which is chosen before.


@dataclass(frozen=True)
class _Members:
    """The trained networks as a bundle's user gets them."""

    plan: TrainingPlan
    models: tuple[Any, ...]
    preprocessing: PreprocessingSettings

    def predict(self, member: int, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of one member, float32 (slice, row, column), for slices of the same shape."""
        from training.fit.trained_network import predict_slices

        predict = partial(predict_slices, self.models[member])
        return mirrored_mean(predict, images) if self.plan.recipe.is_mirrored else predict(images)


def finish_run(
    plan: TrainingPlan, folder: RunFolder, name: BundleName, parts: BundleParts, backend: str
) -> ModelBundle | None:
    """Write RUN/scores.json where the run is by folds, and RUN/bundle where it learnt WMH; None: it did not.

    Both are written whole or not at all; what is there is replaced.

    Raises:
        BadBundle: weights that no bundle can hold.
        OtherRun: a member is not finished.
        NotSaved: the disk is full; the members are safe, and the bundle before, if there was one, is still there.
    """
    import keras

    from training.fit.trained_network import load_network

    keras.config.set_dtype_policy("float32")
    models = [load_network(plan.recipe, _weights(plan, folder, member)) for member in range(len(plan.parts))]
    served = plan.recipe.preprocessing if name.scale is None else replace(plan.recipe.preprocessing, scale=name.scale)
    members = _Members(plan, tuple(models), served)
    calibration = _calibrate(members)
    scores = _scores(members)
    # Two processes that end together write one after the other.
    with folder.alone(), _saving(folder):
        if scores:
            found = RunScores(recipe=plan.recipe.name, cases=scores)
            write_whole(folder.path / RunScores.FILE_NAME, found.to_json())
        if plan.recipe.target != "wmh":
            return None
        last = tuple(final_records(plan, folder, range(len(models))).values())
        facts = CardFacts(name, parts, scores, calibration, backend, software(backend), last)
        return _write_bundle(members, folder.bundle, facts)


def _write_bundle(members: _Members, target: Path, facts: CardFacts) -> ModelBundle:
    from training.fit.trained_network import load_network

    plan, name, (ventricles, anatomy) = members.plan, facts.name, (facts.parts.ventricles, facts.parts.anatomy)
    # Those of the start that are not in this cohort count as seen by all members: they are in no `held_out`.
    before = frozenset[str]().union(*plan.start.seen) if plan.start else frozenset[str]()
    patients = tuple(sorted({*plan.patients(), *(ventricles.patients if ventricles else ()), *before}))
    held_out = tuple(plan.never_seen_by(member) for member in range(len(plan.parts)))
    with replacing(target) as unfinished:
        write_bundle(
            unfinished,
            members.models,
            name=name.name,
            version=name.version,
            specification=plan.recipe.network,
            preprocessing=members.preprocessing,
            training=Training(
                software=dict(facts.software),
                recipe=plan.recipe.name,
                data=name.sources,
                patients=patients if name.lists_patients else None,
                held_out=held_out if name.lists_patients else None,
                images={
                    case.facts.image_digest: case.patient if name.lists_patients else ""
                    for case in plan.cases
                    if case.split in ("train", "validation")
                },
            ),
            licence=name.licence,
            model_card=model_card(plan, facts),
            ventricles=None if ventricles is None else load_network(ventricles.recipe, ventricles.weights),
            mirrors_ventricles=ventricles is not None and ventricles.recipe.is_mirrored,
            temperature=None if facts.calibration is None else facts.calibration.temperature,
            shift=None if facts.calibration is None else facts.calibration.shift or None,
            anatomy=None if anatomy is None else anatomy_network(anatomy.weights),
            definition=name.about.definition,
        )
    return load_bundle(target)


@contextmanager
def _saving(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotSaved(
            f"{folder.path.name}/bundle could not be written ({error.strerror or type(error).__name__}); all "
            "members are trained and saved. Free some space and run the same command again"
        ) from error


def _calibrate(members: _Members) -> Calibration | None:
    """Fold a calibration into the members, from the training and validation patients that each never saw."""
    plan = members.plan
    if not plan.recipe.is_calibrated:
        return None
    rim, least_sd = plan.recipe.ignored_rim_mm, plan.recipe.ignored_rim_sd
    pairs = (
        (with_ignored_rims(case.load(), rim, least_sd) if rim else case.load(), partial(members.predict, member))
        for member in range(len(members.models))
        for case in plan.cases
        if case.split in ("train", "validation") and case.patient in plan.never_seen_by(member)
    )
    found = held_out_calibration(pairs, members.preprocessing, shifts=plan.recipe.shifts_logits)
    if found is not None:
        for model in members.models:
            fold_in(model, found)
    return found


def _scores(members: _Members) -> tuple[MemberScore, ...]:
    """With folds every training patient has one member that never saw the patient: its DSC, on the native grid."""
    plan = members.plan
    if plan.scheme != "folds":
        return ()
    cases = [case for case in plan.cases if case.split == "train"]
    held_out = [part.held_out for part in plan.parts]
    return leave_out_scores(cases, held_out, members.predict, members.preprocessing, plan.recipe.target)


def _weights(plan: TrainingPlan, folder: RunFolder, member: int) -> Path:
    weights = folder.weights(plan, member)
    if weights is None:
        raise OtherRun(f"member {member} of {folder.path.name}/ is not finished; run the same command again")
    return weights
