"""Score an anatomy network on labelled cases: `python -m training.bundle.anatomy.score`.

Dice with the brain masks (in the slices that are mostly brain; automatic masks of real scans take in muscle and sinuses
at the skull base) and with the ventricles, and the part of the manual WMH that lies in the brain. Cases of the fold
that the training left out are honest; the others are marked as seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from segmentation.anatomy import Anatomy, anatomy_images, anatomy_of
from segmentation.volume import FlairVolume
from training.bundle.anatomy.fit import SPECIFICATION, WEIGHTS_NAME
from training.data.cases import LabelledCase, load_cases
from training.data.folds import FOLD_SEED, FOLDS, leave_patients_out, shared_patients
from training.dice import dice
from training.files import write_whole

SCORES_NAME: Final = "scores.json"
_MOSTLY_BRAIN: Final = 0.4  # of the largest slice's area
_BATCH: Final = 4


@dataclass(frozen=True)
class AnatomyScore:
    """One case.

    Attributes:
        seen: the network was trained on this patient.
        brain: Dice in the slices that are mostly brain; None without a manual mask.
        brain_all: Dice in all slices.
        ventricles: Dice; None without a manual mask.
        wmh_inside: part of the manual WMH that lies in the brain; None without WMH.
    """

    case: str
    seen: bool
    brain: float | None
    brain_all: float | None
    ventricles: float | None
    wmh_inside: float | None


def score_case(case: LabelledCase, anatomy: Anatomy, seen: bool) -> AnatomyScore:
    """Score what a network found in a case."""
    brain = brain_all = None
    if case.brain is not None:
        areas = case.brain.sum(axis=(1, 2))
        kept = areas >= _MOSTLY_BRAIN * areas.max()
        brain, brain_all = dice(anatomy.brain[kept], case.brain[kept]), dice(anatomy.brain, case.brain)
    return AnatomyScore(
        case=case.name,
        seen=seen,
        brain=brain,
        brain_all=brain_all,
        ventricles=None if case.ventricles is None else dice(anatomy.ventricles, case.ventricles),
        wmh_inside=float(anatomy.brain[case.wmh].mean()) if case.wmh.any() else None,
    )


def mean_of(scores: Sequence[AnatomyScore], name: str, seen: bool | None = None) -> float | None:
    """Mean of one measure over the cases that have it; None where none has."""
    chosen = (getattr(score, name) for score in scores if seen is None or score.seen == seen)
    values = [value for value in chosen if value is not None]
    return float(np.mean(values)) if values else None


def network(weights: Path) -> Any:
    """The Keras model with weights that `training.bundle.anatomy.fit` wrote."""
    from segmentation.networks.unet import build_network  # Keras, which takes seconds

    model = build_network(SPECIFICATION)
    model.load_weights(weights)
    return model


def predictor(model: Any) -> Callable[[FlairVolume], Anatomy]:
    """What finds the anatomy of a volume by a Keras model."""

    def predict(volume: FlairVolume) -> Anatomy:
        images, grid = anatomy_images(volume, SPECIFICATION.size)
        found: NDArray[np.float32] = model.predict(images[..., None], batch_size=_BATCH, verbose=0)
        return anatomy_of(np.moveaxis(found, -1, 0), grid)

    return predict


def main(
    run: Annotated[Path, typer.Option(help="the `--out` folder of training.bundle.anatomy.fit")],
    data: Annotated[Path, typer.Option(help="folder of labelled cases")],
    fold: Annotated[int, typer.Option(help="fold that the training left out; -1: none")] = -1,
) -> None:
    """Print the scores of each case, and write them to RUN/scores.json."""
    cases = load_cases(data, shared_patients())
    held_out = leave_patients_out(cases, FOLDS, FOLD_SEED)[fold] if fold >= 0 else ()
    predict = predictor(network(run / WEIGHTS_NAME))
    scores = [score_case(case, predict(case.volume), case.patient not in held_out) for case in cases]
    table = Table("case", "seen", "brain", "brain, all slices", "ventricles", "WMH inside")
    for score in scores:
        numbers = (score.brain, score.brain_all, score.ventricles, score.wmh_inside)
        table.add_row(score.case, str(score.seen), *("" if value is None else f"{value:.3f}" for value in numbers))
    Console().print(table)
    write_whole(run / SCORES_NAME, json.dumps([asdict(score) for score in scores], indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
