"""Score a bundle by scanner: `python -m training.bundle.vendor_scores --data NAME=DIR ... [--strokes NPZ]`.

Each labelled case is scored by the members that never saw its patient: DSC, with and without the voxels that its mask
says nothing about (`training.data.ignored`), the ratio of volumes, lesions found, small lesions apart. Slices with
acute infarcts have no WMH label; of them the part of the infarct that is called WMH is printed, which should be none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from segmentation.bundle import ModelBundle, load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.segment import Segmentation, segment_volume
from segmentation.volume import FlairVolume
from training.bundle.conformal import VolumePair, calibrate
from training.bundle.restate import restate_scanners
from training.bundle.review_limit import ScoredScan, derive_limit
from training.bundle.single_slices import read_slices
from training.data.cases import LabelledCase, load_cases
from training.data.ignored import counted, with_ignored_rims
from training.dice import dice
from training.errors import BadCohort
from training.evaluate.lesions import count_lesions
from training.evaluate.recording import RecordingEnsemble
from training.synthesis.stream import as_case, scan_files

Mask = NDArray[np.bool_]

SMALL_ML: Final = 0.1
DRAWN: Final = "drawn"
_SLAB_MM: Final = 5.0
_NEIGHBOURS: Final = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class VendorScore:
    """One case by members that never saw its patient.

    Attributes:
        dsc, dsc_ignored: over all voxels; without those that the mask says nothing about.
        manual_ml, predicted_ml: volumes.
        lesion_f1: None where either mask is empty.
        small_recall: part of the manual lesions under `SMALL_ML` that is touched; None without one.
        index: the served uncertainty index, of these members.
        members: how many scored.
    """

    group: str
    case: str
    patient: str
    dsc: float
    dsc_ignored: float
    manual_ml: float
    predicted_ml: float
    lesion_f1: float | None
    small_recall: float | None
    index: float | None
    members: int

    @property
    def ratio(self) -> float | None:
        """Predicted over manual volume; None without a manual one."""
        return self.predicted_ml / self.manual_ml if self.manual_ml else None


def score_case(group: str, case: LabelledCase, segmentation: Segmentation, members: int) -> VendorScore:
    """Score one segmentation."""
    mask, voxel_ml = segmentation.mask, case.volume.voxel_volume_ml
    return VendorScore(
        group=group,
        case=case.name,
        patient=case.patient,
        dsc=dice(mask, case.wmh),
        dsc_ignored=dice(counted(mask, case.ignore), counted(case.wmh, case.ignore)),
        manual_ml=case.wmh_ml,
        predicted_ml=float(mask.sum()) * voxel_ml,
        lesion_f1=count_lesions(mask, case.wmh).f1,
        small_recall=small_recall(mask, case.wmh, voxel_ml),
        index=segmentation.measures.uncertainty_index,
        members=members,
    )


def small_recall(predicted: Mask, manual: Mask, voxel_ml: float, small_ml: float = SMALL_ML) -> float | None:
    """Part of the manual lesions under `small_ml` that a predicted voxel touches; None without one."""
    labels, count = ndimage.label(manual, structure=_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * voxel_ml
    small = [label for label in range(1, count + 1) if sizes[label] < small_ml]
    touched = set(np.unique(labels[predicted & manual]).tolist())
    return float(np.mean([label in touched for label in small])) if small else None


def in_slabs(case: LabelledCase, slab_mm: float = _SLAB_MM) -> LabelledCase:
    """A case of thin slices averaged to slabs, as clinical 2D shows it; thick ones stay as they are."""
    together = round(slab_mm / case.volume.spacing_mm[0])
    if together < 2:
        return case
    count = len(case.wmh) // together * together
    shape = (-1, together, *case.wmh.shape[1:])
    depth, height, width = case.volume.spacing_mm
    voxels = case.volume.voxels[:count].reshape(shape).mean(axis=1).astype(np.float32)
    volume = FlairVolume(voxels, (depth * together, height, width))

    def half(mask: Mask | None) -> Mask | None:
        return None if mask is None else mask[:count].reshape(shape).mean(axis=1) >= 0.5

    wmh = case.wmh[:count].reshape(shape).mean(axis=1) >= 0.5
    return replace(
        case,
        volume=volume,
        wmh=wmh,
        brain=half(case.brain),
        ventricles=half(case.ventricles),
        ignore=half(case.ignore),
    )


def infarct_called_wmh(ensemble: Ensemble, file: Path, most: int) -> float:
    """Part of the acute infarcts' pixels that is marked as WMH, over slices that each are a volume of their own."""
    marked = pixels = 0
    for one in read_slices(file, 0, most):
        marked += int(np.count_nonzero(segment_volume(one.volume, ensemble).mask[0] & one.infarct))
        pixels += int(np.count_nonzero(one.infarct))
    if not pixels:
        raise BadCohort(f"{file.name}: expected infarcts in stroke_mask, got none")
    return marked / pixels


def scores_of(bundle: ModelBundle, ensemble: Ensemble, group: str, cases: Iterable[LabelledCase]) -> list[VendorScore]:
    """Every case of one scanner, by the members that never saw its patient.

    Raises:
        BadCohort: all members saw a patient.
    """
    recording = RecordingEnsemble(ensemble)
    scores = []
    for case in cases:
        unseen = bundle.members_that_never_saw(case.patient)
        if not unseen:
            raise BadCohort(f"{case.name}: expected members that never saw this patient, all did")
        recording.choose(unseen)
        slabs = with_ignored_rims(in_slabs(case))
        scores.append(score_case(group, slabs, segment_volume(slabs.volume, recording.as_ensemble), len(unseen)))
    return scores


def in_words(scores: Sequence[VendorScore], infarcts: float | None) -> str:
    """The card's section about them: a line a case, and the means of each scanner."""
    columns = ("scanner", "case", "members", "DSC", "DSC, ignored", "manual mL", "ratio", "lesion F1", "small", "index")
    lines = [
        "Each case by the members that never saw its patient, as the node segments it; thin slices averaged to slabs",
        f'of {_SLAB_MM:g} mm. "Ignored": without unmarked voxels within 5 mm of the ventricles, of which these masks',
        'say nothing. "Ratio": predicted over manual volume. "Small": part of the manual lesions under 0.1 mL that is',
        'touched. "Drawn": fresh synthetic scans, by all members. `make vendor-scores` prints it again.',
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
    ]
    lines += [
        f"| {' | '.join((score.group, score.case, str(score.members), *_cells(score)))} |"
        for score in scores
        if score.group != DRAWN
    ]
    for group, dsc, ignored, ratio in _means(scores):
        lines.append(f"| **{group}** | **mean** | | **{dsc:.3f}** | **{ignored:.3f}** | | **{ratio:.2f}** | | | |")
    if infarcts is not None:
        lines += [
            "",
            f"Of acute infarcts in single slices of many scanners {infarcts:.1%} of the pixels is called WMH.",
        ]
    return "\n".join(lines)


def main(
    data: Annotated[list[str], typer.Option(help="NAME=DIR: a scanner and its folder of labelled cases")],
    bundle: Annotated[Path | None, typer.Option(help="bundle folder; default: the shipped reference")] = None,
    patients: Annotated[list[Path] | None, typer.Option(help="CSVs: case,patient; one a folder")] = None,
    drawn: Annotated[Path | None, typer.Option(help="scans of training.synthesis.stream that no member saw")] = None,
    most_drawn: Annotated[int, typer.Option(help="so many of them", min=1)] = 24,
    strokes: Annotated[Path | None, typer.Option(help="npz with flair and stroke_mask (slice, row, column)")] = None,
    most_strokes: Annotated[int, typer.Option(help="slices of it to score")] = 60,
    version: Annotated[str | None, typer.Option(help="write the table into the bundle's card, as this version")] = None,
) -> None:
    """Print the table, the review limit and the volume interval that these scans support."""
    loaded = load_bundle(bundle or reference_bundle())
    ensemble = open_ensemble(loaded, "auto")
    scores: list[VendorScore] = []
    for place, text in enumerate(data):
        name, _, folder = text.partition("=")
        cases = load_cases(Path(folder), patients[place] if patients and place < len(patients) else None)
        scores += scores_of(loaded, ensemble, name, cases)
    of_scanners = list(scores)
    if drawn:
        scores += scores_of(loaded, ensemble, DRAWN, map(as_case, scan_files(drawn)[:most_drawn]))
    _print(scores)
    share = infarct_called_wmh(ensemble, strokes, most_strokes) if strokes else None
    if share is not None:
        typer.echo(f"acute infarcts called WMH: {share:.1%} of their pixels, {most_strokes} slices")
    scored = [ScoredScan(score.index, score.dsc) for score in of_scanners if score.index is not None]
    pairs = [VolumePair(score.patient, score.manual_ml, score.predicted_ml) for score in of_scanners]
    for derive in (lambda: derive_limit([scored]), lambda: calibrate(pairs)):
        try:
            typer.echo(str(derive()))
        except BadCohort as error:
            typer.echo(str(error))
    if version is not None:
        restate_scanners(bundle or reference_bundle(), version, in_words(scores, share))


def _print(scores: Sequence[VendorScore]) -> None:
    table = Table("scanner", "case", "members", "DSC", "ignored", "manual mL", "ratio", "lesion F1", "small", "UI")
    for score in scores:
        table.add_row(score.group, score.case, str(score.members), *_cells(score))
    for group, dsc, ignored, ratio in _means(scores):
        table.add_section()
        table.add_row(group, "mean", "", f"{dsc:.3f}", f"{ignored:.3f}", "", f"{ratio:.2f}", "", "", "")
    Console(width=120).print(table)


def _cells(score: VendorScore) -> tuple[str, ...]:
    optional = (score.ratio, score.lesion_f1, score.small_recall, score.index)
    fixed = (f"{score.dsc:.3f}", f"{score.dsc_ignored:.3f}", f"{score.manual_ml:.1f}")
    return (*fixed, *("-" if value is None else f"{value:.2f}" for value in optional))


def _means(scores: Sequence[VendorScore]) -> Iterator[tuple[str, float, float, float]]:
    """Scanner, mean DSC, mean DSC without what is ignored, volume of all its cases over the manual one."""
    for group in dict.fromkeys(score.group for score in scores):
        own = [score for score in scores if score.group == group]
        ratio = sum(score.predicted_ml for score in own) / max(sum(score.manual_ml for score in own), 1e-9)
        yield group, float(np.mean([s.dsc for s in own])), float(np.mean([s.dsc_ignored for s in own])), ratio


if __name__ == "__main__":
    typer.run(main)
