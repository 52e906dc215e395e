"""How often each candidate for the volume interval holds the manual volume.

    python -m training.bundle.interval_coverage

Two views, and the truth about a new patient is in neither. Leave-patients-out: the one member that never saw the
patient, alone; honest about the patient, but without the others' disagreement. Ensemble: the mean of all members, as it
is reported; but all members but one have seen the patient. docs/adr/0010 has the choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import mean_probability, open_ensemble
from segmentation.interval import VolumeInterval, bounds_of
from segmentation.preprocessing.case import preprocess
from training.bundle.scores import unseen_member
from training.data.cases import LabelledCase, load_cases
from training.data.folds import shared_patients

app = typer.Typer(add_completion=False, help=__doc__)

_THRESHOLD: Final = 0.5
_LEVELS: Final = (0.80, 0.85, 0.92, 0.95, 0.97)
_FACTORS: Final = (1.25, 1.5, 2.0)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class CasePrediction:
    """What the members say of one case on its native grid.

    Attributes:
        members: float32 (member, slice, row, column).
        mean: float32 (slice, row, column), as it is reported.
        unseen: the member that never saw the patient, counted from 0.
        voxel_ml: volume of one voxel.
        manual_ml: the manual volume.
    """

    members: NDArray[np.float32]
    mean: NDArray[np.float32]
    unseen: int
    voxel_ml: float
    manual_ml: float


Candidate = Callable[[NDArray[np.float32], float], VolumeInterval]
"""One probability map (slice, row, column) and the voxel volume in mL to an interval."""


@dataclass(frozen=True)
class Coverage:
    """How one candidate did.

    Attributes:
        candidate: in words.
        view: `unseen member` or `ensemble`.
        held: cases whose manual volume lies in the interval.
        cases: of so many.
        width: median over the cases of the interval's width divided by the predicted volume.
    """

    candidate: str
    view: str
    held: int
    cases: int
    width: float


def certain_to_possible(probability: NDArray[np.float32], voxel_ml: float) -> VolumeInterval:
    """The interval that is reported (`segmentation.interval`)."""
    return bounds_of(probability >= _THRESHOLD, probability).interval(voxel_ml)


def between_levels(level: float) -> Candidate:
    """From the volume at p >= level to that at p >= 1 - level."""
    return lambda probability, voxel_ml: VolumeInterval(
        volume(probability, voxel_ml, level), volume(probability, voxel_ml, 1 - level)
    )


def by_factor(factor: float) -> Candidate:
    """The volume divided and multiplied by a factor, whatever the probabilities say."""
    return lambda probability, voxel_ml: VolumeInterval(
        volume(probability, voxel_ml) / factor, volume(probability, voxel_ml) * factor
    )


def volume(probability: NDArray[np.float32], voxel_ml: float, level: float = _THRESHOLD) -> float:
    """Volume in mL of the voxels at or above a level."""
    return int(np.count_nonzero(probability >= level)) * voxel_ml


def coverages(predictions: Sequence[CasePrediction]) -> list[Coverage]:
    """Every candidate in both views, then the spread of the members, which has one view only."""
    candidates: dict[str, Candidate] = {"certain to possible, 0.89 to 0.11 (reported)": certain_to_possible}
    candidates |= {f"p >= {level:.2f} to p >= {1 - level:.2f}": between_levels(level) for level in _LEVELS}
    candidates |= {f"volume / {factor:g} to volume x {factor:g}": by_factor(factor) for factor in _FACTORS}
    found = []
    for name, candidate in candidates.items():
        alone = [candidate(case.members[case.unseen], case.voxel_ml) for case in predictions]
        volumes = [volume(case.members[case.unseen], case.voxel_ml) for case in predictions]
        found.append(_coverage(name, "unseen member", alone, volumes, predictions))
        together = [candidate(case.mean, case.voxel_ml) for case in predictions]
        found.append(_coverage(name, "ensemble", together, _reported(predictions), predictions))
    spread = [_spread(case) for case in predictions]
    found.append(
        _coverage("smallest to largest member volume", "ensemble", spread, _reported(predictions), predictions)
    )
    return found


def predict_case(case: LabelledCase, ensemble: Any, held_out: Sequence[Sequence[str]]) -> CasePrediction:
    """Run every member on a case.

    Args:
        case: with its manual mask.
        ensemble: `segmentation.ensemble.Ensemble`.
        held_out: the patients that each member was trained without.
    """
    ready = preprocess(case.volume, ensemble.preprocessing)
    members = ensemble.predict(ready.images)
    return CasePrediction(
        members=np.stack([ready.grid.to_native(member) for member in members]),
        mean=ready.grid.to_native(mean_probability(members)),
        unseen=unseen_member(case, held_out),
        voxel_ml=case.volume.voxel_volume_ml,
        manual_ml=case.wmh_ml,
    )


def _reported(predictions: Sequence[CasePrediction]) -> list[float]:
    return [volume(case.mean, case.voxel_ml) for case in predictions]


def _spread(case: CasePrediction) -> VolumeInterval:
    volumes = [volume(member, case.voxel_ml) for member in case.members]
    return VolumeInterval(min(volumes), max(volumes))


def _coverage(
    name: str,
    view: str,
    intervals: Sequence[VolumeInterval],
    volumes: Sequence[float],
    predictions: Sequence[CasePrediction],
) -> Coverage:
    held = sum(
        interval.lower_ml <= case.manual_ml <= interval.upper_ml
        for interval, case in zip(intervals, predictions, strict=True)
    )
    widths = [
        (interval.upper_ml - interval.lower_ml) / volume_ml
        for interval, volume_ml in zip(intervals, volumes, strict=True)
        if volume_ml
    ]
    return Coverage(name, view, held, len(predictions), float(np.median(widths)) if widths else 0.0)


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="folder of labelled cases (flair.nii.gz, wmh.nii.gz)")],
    bundle: Annotated[Path | None, typer.Option(help="bundle folder; default: the shipped reference")] = None,
    patients: Annotated[Path | None, typer.Option(help="CSV: case,patient; default: the shared")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Print the coverage of every candidate."""
    loaded = load_bundle(bundle or reference_bundle())
    cases = load_cases(data, patients or shared_patients())
    held_out = loaded.manifest.training.held_out or ()
    ensemble = open_ensemble(loaded, "auto")
    found = coverages([predict_case(case, ensemble, held_out) for case in cases])
    if as_json:
        typer.echo(json.dumps([coverage.__dict__ for coverage in found]))
        return
    table = Table("interval", "scored by", "holds the manual volume", "median width / volume")
    for coverage in found:
        table.add_row(
            coverage.candidate, coverage.view, f"{coverage.held} of {coverage.cases}", f"{coverage.width:.2f}"
        )
    Console().print(table)


if __name__ == "__main__":
    app()
