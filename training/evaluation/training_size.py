"""DSC against the number of training patients (paper: 100, 200, 500, 1000, 1500, 2408).

For each size the first so many patients of one shuffled order are trained on, so that each subset holds the smaller
ones. All are judged on the same patients: the external ones, else those of the test part. Long, so never by default; a
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
from training.cases import LabelledCase
from training.dice import dice
from training.errors import BadCohort
from training.evaluation.document import TrainingSizeCurve, TrainingSizePoint
from training.evaluation.groups import EXTERNAL
from training.evaluation.tests_of_difference import mean_with_interval, paired_t

MEMBERS: Final = 5
_THRESHOLD: Final = 0.5

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Probabilities (slice, row, column) of normalised slices of the same shape."""

Fit = Callable[[Sequence[LabelledCase], int], Sequence[Predict]]
"""Trains the members of one ensemble on these cases; told the number of patients, for names of folders and bars."""


def training_size_curve(
    cases: Sequence[LabelledCase], sizes: Sequence[int], fit: Fit, preprocessing: PreprocessingSettings, seed: int
) -> TrainingSizeCurve:
    """Train on growing subsets and judge each.

    Args:
        cases: with their part of the split; those of `train` are drawn from.
        sizes: numbers of patients, smallest first.
        fit: trains one ensemble.
        preprocessing: the input contract of its networks.
        seed: of the order of patients.

    Raises:
        BadCohort: a size beyond the training patients, or nobody to judge on.
    """
    pool, judges = _pool(cases, sizes), _judges(cases)
    order = np.random.default_rng((seed, 8421)).permutation(sorted({case.patient for case in pool}))
    scores: dict[int, list[float]] = {}
    for size in sizes:
        chosen = set(order[:size].tolist())
        members = fit([case for case in pool if case.patient in chosen], size)
        scores[size] = [_score(case, members, preprocessing) for case in judges]
    test = paired_t(scores[sizes[0]], scores[sizes[-1]]) if len(sizes) > 1 else None
    return TrainingSizeCurve(
        points=tuple(_point(size, values) for size, values in scores.items()),
        p=test.p if test else None,
        test=f"{test.name}, {sizes[0]} against {sizes[-1]} patients" if test else "",
        note=test.note if test else "one size only: nothing to compare",
    )


def train_on_growing_subsets(
    cases: Sequence[LabelledCase],
    sizes: Sequence[int],
    preset: str,
    seed: int,
    folder: Path,
    progress: Callable[[str, int, int], None],
    members: int = MEMBERS,
) -> TrainingSizeCurve:
    """The curve of a named recipe; checkpoints go to `folder/<size>-patients/member-<k>`.

    Raises:
        BadCohort: see `training_size_curve`; also an unknown preset.
    """
    from training.presets import PRESETS

    if preset not in PRESETS:
        raise BadCohort(f"expected a preset among {', '.join(PRESETS)}, got {preset!r}")
    recipe = PRESETS[preset]

    def fit(subset: Sequence[LabelledCase], size: int) -> list[Predict]:
        return _fit_members(subset, recipe, seed, folder / f"{size}-patients", members, progress, f"train {size}")

    return training_size_curve(cases, sizes, fit, recipe.preprocessing, seed)


def _fit_members(
    cases: Sequence[LabelledCase],
    recipe: Any,
    seed: int,
    folder: Path,
    members: int,
    progress: Callable[[str, int, int], None],
    label: str,
) -> list[Predict]:
    """Members on different 90 % subsets with different seeds, as in the paper."""
    from segmentation.networks.unet import build_network
    from training.fit import Pools, fit_member, predict_slices
    from training.slices import build_pool
    from training.splits import member_parts

    found: list[Predict] = []
    for member, part in enumerate(member_parts(cases, members, "subsets", seed)):
        pool = build_pool([case for case in cases if case.patient in part.seen], (), recipe)

        def advance(epoch: int, epochs: int, _loss: float, member: int = member) -> None:
            progress(label, member * epochs + epoch, members * epochs)

        weights = fit_member(Pools(pool, pool), recipe, seed + member, folder / f"member-{member}", advance)
        model = build_network(recipe.network)
        model.load_weights(weights)
        found.append(lambda images, model=model: predict_slices(model, images))  # type: ignore[misc]
    return found


def _pool(cases: Sequence[LabelledCase], sizes: Sequence[int]) -> list[LabelledCase]:
    pool = [case for case in cases if case.split == "train"]
    there = len({case.patient for case in pool})
    if not sizes or max(sizes) > there or min(sizes) < 1:
        raise BadCohort(f"expected sizes between 1 and the {there} training patients, got {', '.join(map(str, sizes))}")
    return pool


def _judges(cases: Sequence[LabelledCase]) -> list[LabelledCase]:
    for split in (EXTERNAL, "test"):
        if found := [case for case in cases if case.split == split]:
            return found
    raise BadCohort("expected external or test patients to judge the training sizes on, found none")


def _score(case: LabelledCase, members: Sequence[Predict], preprocessing: PreprocessingSettings) -> float:
    ready = preprocess(case.volume, preprocessing)
    mean = np.stack([predict(ready.images) for predict in members]).mean(axis=0, dtype=np.float64)
    return dice(ready.grid.to_native(mean.astype(np.float32)) >= _THRESHOLD, case.wmh)


def _point(size: int, values: Sequence[float]) -> TrainingSizePoint:
    found = mean_with_interval(values)
    return TrainingSizePoint(patients=size, mean_dsc=float(np.mean(values)), sd=found.sd, n=found.n)
