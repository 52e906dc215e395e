"""What a bundle takes from other trainings: ventricle network, anatomy network, scores to be compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from training.bundle.anatomy.fit import WEIGHTS_NAME
from training.bundle.anatomy.score import SCORES_NAME, AnatomyScore
from training.bundle.scores import MemberScore, RunScores
from training.data.presets import Recipe
from training.data.recipe_settings import recipe_of
from training.errors import OtherRun, TrainingError
from training.fit.plan import TrainingPlan

_FEWEST_COMPARED: Final = 2

T = TypeVar("T")


@dataclass(frozen=True)
class VentricleRun:
    """A finished run that learnt ventricles.

    Attributes:
        weights: of the member that saw most patients: all of them, where the run is by folds.
        recipe: how it was trained.
        patients: all that it saw, or was scored on while training.
        scores: of networks like it that each never saw the patient; empty where the run is not by folds.
    """

    weights: Path
    recipe: Recipe
    patients: tuple[str, ...]
    scores: tuple[MemberScore, ...]


@dataclass(frozen=True)
class AnatomyRun:
    """An anatomy network with its scores."""

    weights: Path
    scores: tuple[AnatomyScore, ...]


@dataclass(frozen=True)
class BundleParts:
    """All of them; None: not wanted."""

    ventricles: VentricleRun | None = None
    anatomy: AnatomyRun | None = None
    baseline: RunScores | None = None


def read_parts(
    plan: TrainingPlan, ventricles: Path | None = None, anatomy: Path | None = None, baseline: Path | None = None
) -> BundleParts:
    """Read what the bundle of a plan takes in; a bundle is made last, and whether it can be is known first.

    Args:
        plan: of the WMH members.
        ventricles: `--out` folder of a training of ventricles.
        anatomy: folder of `training.bundle.anatomy.fit` with the scores.json of `training.bundle.anatomy.score`.
        baseline: scores.json of another run by folds of the same cases.

    Raises:
        OtherRun: one of them is not what it should be, not finished, or does not fit the plan.
    """
    given = {"--ventricles": ventricles, "--anatomy": anatomy, "--baseline": baseline}
    if plan.recipe.target != "wmh" and (wrong := [option for option, path in given.items() if path is not None]):
        raise OtherRun(f"{wrong[0]}: needs --target wmh, because it goes into the bundle of that training")
    return BundleParts(
        None if ventricles is None else _ventricles(ventricles, plan),
        None if anatomy is None else read_anatomy(anatomy),
        None if baseline is None else _baseline(baseline, plan),
    )


def _ventricles(run: Path, plan: TrainingPlan) -> VentricleRun:
    def read() -> tuple[Recipe, tuple[str, ...], list[int]]:
        document = json.loads((run / "run.json").read_text(encoding="utf-8"))
        seen = [len(member["seen"]) for member in document["members"]]
        return recipe_of(document["recipe"]), tuple(map(str, document["patients"])), seen

    recipe, patients, seen = _read("--ventricles", "the --out folder of a training", run, read)
    if recipe.target != "ventricles":
        raise OtherRun(f"--ventricles: expected a training with --target ventricles, got one of {recipe.target}")
    if recipe.preprocessing != plan.recipe.preprocessing:
        raise OtherRun(
            "--ventricles: expected a network of the same preprocessing, got another: train both with the same settings"
        )
    weights = run / f"member-{seen.index(max(seen))}" / recipe.result_file
    if not weights.exists():
        raise OtherRun(f"--ventricles: {run.name}/ is not finished; run its command again first")
    kept = {case.patient for case in plan.cases if case.split not in ("train", "validation")}
    if known := sorted(kept & set(patients)):
        raise OtherRun(
            f"--ventricles: {run.name}/ was trained on {len(known)} patients that this training keeps for the test, "
            f"{known[0]} among them: train both with one patients.csv and one --seed"
        )
    scores = run / RunScores.FILE_NAME
    found = RunScores.from_json(scores.read_bytes()).cases if scores.exists() else ()
    return VentricleRun(weights, recipe, patients, found)


def read_anatomy(run: Path) -> AnatomyRun:
    """A finished training of an anatomy network with its scores.

    Raises:
        OtherRun: not finished, or not scored.
    """

    def read() -> tuple[AnatomyScore, ...]:
        (run / WEIGHTS_NAME).stat()
        return tuple(AnatomyScore(**score) for score in json.loads((run / SCORES_NAME).read_bytes()))

    return AnatomyRun(run / WEIGHTS_NAME, _read("--anatomy", f"a folder with {WEIGHTS_NAME}, {SCORES_NAME}", run, read))


def _baseline(path: Path, plan: TrainingPlan) -> RunScores:
    found = _read("--baseline", "the scores.json of a training", path, lambda: RunScores.from_json(path.read_bytes()))
    if plan.scheme != "folds":
        raise OtherRun("--baseline: needs --scheme folds, which gives scores to compare with it")
    scored = {score.case for score in found.cases}
    owners = {case.patient for case in plan.cases if case.split == "train" and case.name in scored}
    if len(owners) < _FEWEST_COMPARED:
        raise OtherRun(
            f"--baseline: expected scores of at least {_FEWEST_COMPARED} patients of this training, got those of "
            f"{len(owners)}: train both on the same cases"
        )
    return found


def _read(option: str, expected: str, path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, TrainingError) as error:
        raise OtherRun(f"{option}: expected {expected}, got {path.name}") from error
