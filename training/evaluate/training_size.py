"""DSC against the number of training patients (paper: 100, 200, 500, 1000, 1500, 2408).

For each size the first so many patients of one shuffled order are trained on, so that each subset holds the smaller
ones. All are scored on the same patients: the external ones, else those of the test part. Long, so never by default; a
killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.cases import Case
from training.data.presets import Recipe
from training.data.slice_store import SliceStore
from training.dice import dice
from training.errors import BadCohort, BadRecipe, CheckpointLost
from training.evaluate.document import TrainingSizeCurve, TrainingSizePoint
from training.evaluate.groups import EXTERNAL
from training.evaluate.means import SHARE, mean_with_interval
from training.evaluate.tests_of_difference import paired_t
from training.fit.backend import choose_backend, prepare_backend
from training.fit.plan import TrainingPlan, make_plan
from training.fit.progress import MemberProgress
from training.fit.run import PlanPart
from training.fit.run import train as carry_out
from training.fit.run_folder import RunFolder

MEMBERS: Final = 5
_THRESHOLD: Final = 0.5

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Probabilities (slice, row, column) of normalised slices of the same shape."""

Fit = Callable[[Sequence[Case], int], Sequence[Predict]]
"""Trains the members of one ensemble on these cases; called with the number of patients, for names of folders and
bars.
"""


def training_size_curve(
    cases: Sequence[Case], sizes: Sequence[int], fit: Fit, preprocessing: PreprocessingSettings, seed: int
) -> TrainingSizeCurve:
    """Train on growing subsets and score each.

    Args:
        cases: with their part of the split; those of `train` are drawn from.
        sizes: numbers of patients, smallest first.
        fit: trains one ensemble.
        preprocessing: the input contract of its networks.
        seed: of the order of patients.

    Raises:
        BadCohort: a size beyond the training patients, or no patient to score on.
    """
    pool, test_cases = _pool(cases, sizes), _test_cases(cases)
    order = np.random.default_rng((seed, 8421)).permutation(sorted({case.patient for case in pool}))
    scores: dict[int, list[float]] = {}
    for size in sizes:
        chosen = set(order[:size].tolist())
        members = fit([case for case in pool if case.patient in chosen], size)
        scores[size] = [_score(case, members, preprocessing) for case in test_cases]
    test = paired_t(scores[sizes[0]], scores[sizes[-1]]) if len(sizes) > 1 else None
    return TrainingSizeCurve(
        points=tuple(_point(size, values) for size, values in scores.items()),
        p=test.p if test else None,
        test=f"{test.name}, {sizes[0]} against {sizes[-1]} patients" if test else "",
        note=test.note if test else "one size only: nothing to compare",
    )


def train_on_growing_subsets(
    cases: Sequence[Case],
    sizes: Sequence[int],
    recipe: Recipe,
    seed: int,
    folder: Path,
    progress: Callable[[str, int, int], None],
    members: int = MEMBERS,
    threads: int | None = None,
) -> TrainingSizeCurve:
    """The curve of a recipe; each size is a training run of its own in `folder/<size>-patients`; they share slices.

    Args:
        cases, sizes, seed: see `training_size_curve`.
        recipe: of every training.
        folder: of the trainings.
        progress: hears of the epochs.
        members: networks of each training.
        threads: processor threads; None: all. Those of whatever TensorFlow does in this process afterwards, which
            cannot be changed once it has run.

    Raises:
        BadCohort: see `training_size_curve`, and whatever `training.fit.plan` refuses.
        BadRecipe: a recipe that cannot be followed, or one that learns something else than WMH.
        BackendUnavailable: no backend to train on.
        RuntimeUnavailable: TensorFlow has run with other threads in this process.
    """
    if recipe.target != "wmh":
        raise BadRecipe(f"expected a recipe that learns WMH, got {recipe.name}, which learns {recipe.target}")
    backend = choose_backend()
    prepare_backend(backend, threads or 0)
    if threads is not None and backend == "tensorflow":
        from segmentation.runtimes.tensorflow import limit_threads

        # TensorFlow refuses another number, which the model's runtime would ask for, once it has trained.
        limit_threads(threads)
    # Each subset holds the smaller ones: their slices are made and kept once.
    store = SliceStore(folder / "slices")

    def fit(subset: Sequence[Case], size: int) -> list[Predict]:
        plan = make_plan(subset, (), recipe, members=members, seed=seed)

        def report(stand: MemberProgress) -> None:
            progress(f"train {size}", stand.member * stand.epochs + stand.epoch, members * stand.epochs)

        run = RunFolder(folder / f"{size}-patients")
        carry_out(plan, run, backend, PlanPart(validation_cases=0), report, store)
        return [_predictor(plan, run, member) for member in range(members)]

    return training_size_curve(cases, sizes, fit, recipe.preprocessing, seed)


def _predictor(plan: TrainingPlan, run: RunFolder, member: int) -> Predict:
    # Keras loads its backend when it is imported.
    from training.fit.trained_network import load_network, predict_slices

    weights = run.weights(plan, member)
    if weights is None:
        raise CheckpointLost(f"expected the weights of member {member} in {run.member(member).name}, found none")
    model = load_network(plan.recipe, weights)
    return lambda images: predict_slices(model, images)


def _pool(cases: Sequence[Case], sizes: Sequence[int]) -> list[Case]:
    pool = [case for case in cases if case.split == "train"]
    there = len({case.patient for case in pool})
    if not sizes or max(sizes) > there or min(sizes) < 1:
        raise BadCohort(f"expected sizes between 1 and the {there} training patients, got {', '.join(map(str, sizes))}")
    return pool


def _test_cases(cases: Sequence[Case]) -> list[Case]:
    for split in (EXTERNAL, "test"):
        if found := [case for case in cases if case.split == split]:
            return found
    raise BadCohort("expected external or test patients to score the training sizes on, found none")


def _score(case: Case, members: Sequence[Predict], preprocessing: PreprocessingSettings) -> float:
    loaded = case.load()
    ready = preprocess(loaded.volume, preprocessing, loaded.brain)
    mean = np.stack([predict(ready.images) for predict in members]).mean(axis=0, dtype=np.float64)
    return dice(ready.grid.to_native(mean.astype(np.float32)) >= _THRESHOLD, loaded.wmh)


def _point(size: int, values: Sequence[float]) -> TrainingSizePoint:
    found = mean_with_interval(values, SHARE)
    return TrainingSizePoint(patients=size, mean_dsc=float(np.mean(values)), sd=found.sd, n=found.n)
