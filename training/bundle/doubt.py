"""Derive what a bundle's doubt means: `python -m training.bundle.doubt --data NAME=DIR ... [--drawn DIR] [--out JSON]`.

Two questions, from scans whose patient the scoring networks never saw: above which uncertainty index does a result want
a review (`training.bundle.review_limit`), and within which factor of the volume does the manual one lie
(`training.bundle.conformal`). Who scores:

| scans | scored by | for |
|---|---|---|
| labelled, of a patient that no member saw | the whole ensemble | limit, interval |
| drawn (`training.synthesis.stream`): unseen scans, of label maps that were seen | the whole ensemble | limit |
| labelled, of a patient that some members saw | the members that did not | interval, limit by an estimated index |
| without labels | the whole ensemble | how many are sent to review |

A member alone is surer of itself than the mean of five, so that its index is not the served one. By how much is
measured on the scans that no member saw, as the median of index over member's index; a member's index times that stands
for the ensemble's where the ensemble cannot be asked. `--cache` keeps what was measured, one file a scan, for this
bundle's weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, cast

import numpy as np
import typer
from numpy.typing import NDArray

from segmentation.bundle import ModelBundle, load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, mean_probability, open_ensemble
from segmentation.manifest import PredictiveContract
from segmentation.nifti import read_flair_nifti
from segmentation.segment import segment_volume
from segmentation.volume import FlairVolume
from training.bundle.conformal import VolumePair, calibrate
from training.bundle.restate import restate
from training.bundle.review_limit import CATCH, POOR_BELOW_DSC, ReviewLimit, ScoredScan, derive_limit
from training.bundle.vendor_scores import in_slabs
from training.data.cases import LabelledCase, load_cases
from training.data.ignored import counted, with_ignored_rims
from training.dice import dice
from training.errors import BadCohort
from training.synthesis.stream import read_scan, scan_files

Mask = NDArray[np.bool_]

DRAWN: Final = "drawn"
UNLABELLED: Final = "unlabelled"
NOMINAL: Final = 0.8
_SLAB_MM: Final = 5.0


@dataclass(frozen=True)
class DoubtedScan:
    """What was measured of one scan.

    Attributes:
        group, case, patient: which one.
        members: how many scored it; none of them saw the patient.
        is_whole: they are the whole ensemble, so that `index` is the served one.
        index: uncertainty index of what they say together; None where they mark nothing.
        member_index: of the first of them alone.
        predicted_ml, manual_ml, dsc: None without a manual mask; DSC without what the mask says nothing about.
    """

    group: str
    case: str
    patient: str
    members: int
    is_whole: bool
    index: float | None
    member_index: float | None
    predicted_ml: float
    manual_ml: float | None = None
    dsc: float | None = None


@dataclass(frozen=True, eq=False)
class _Task:
    """One scan to score, read when it is needed; `ignore`: voxels of which its mask says nothing."""

    group: str
    case: str
    patient: str
    read: Callable[[], tuple[FlairVolume, Mask | None]]
    ignore: Mask | None = None


class _Remembering:
    """An ensemble that is asked once for each scan and answers for any of its members; without its other networks."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._members: NDArray[np.float32] | None = None
        self.chosen: Sequence[int] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ensemble, name)

    def forget(self) -> None:
        """Another scan comes."""
        self._members = None

    def predict(self, images: NDArray[np.float32], _progress: object = None) -> NDArray[np.float32]:
        """As `Ensemble.predict`, of the chosen members."""
        if self._members is None:
            self._members = self._ensemble.predict(images)
        return self._members[list(self.chosen)]

    def predict_mean(self, images: NDArray[np.float32], _progress: object = None) -> NDArray[np.float32]:
        """As `Ensemble.predict_mean`, of the chosen members."""
        return mean_probability(self.predict(images))

    def predict_ventricles(self, _images: NDArray[np.float32]) -> None:
        """Not asked for."""

    def predict_anatomy(self, volume: FlairVolume) -> Any:
        """The ensemble's own: it decides what counts as brain."""
        return self._ensemble.predict_anatomy(volume)


def score_scan(task: _Task, unseen: Sequence[int], all_members: int, remembering: _Remembering) -> DoubtedScan:
    """Segment one scan as it is served, by the members that never saw its patient."""
    remembering.forget()
    volume, manual = task.read()
    remembering.chosen = unseen[:1]
    alone = segment_volume(volume, cast(Ensemble, remembering)).measures.uncertainty_index
    remembering.chosen = unseen
    found = segment_volume(volume, cast(Ensemble, remembering))
    return DoubtedScan(
        group=task.group,
        case=task.case,
        patient=task.patient,
        members=len(unseen),
        is_whole=len(unseen) == all_members,
        index=found.measures.uncertainty_index,
        member_index=alone,
        predicted_ml=found.measures.wmh_volume_ml,
        manual_ml=None if manual is None else float(manual.sum()) * volume.voxel_volume_ml,
        dsc=None if manual is None else dice(counted(found.mask, task.ignore), counted(manual, task.ignore)),
    )


def ratio_of(scans: Sequence[DoubtedScan]) -> float:
    """The ensemble's index over its first member's: median of the scans that no member saw; 1 without any."""
    ratios = [scan.index / scan.member_index for scan in scans if scan.is_whole and scan.index and scan.member_index]
    return float(np.median(ratios)) if ratios else 1.0


def served_index(scan: DoubtedScan, ratio: float) -> float | None:
    """The index of the whole ensemble, estimated where only some of its members may be asked."""
    return scan.index if scan.is_whole or scan.index is None else min(scan.index * ratio, 1.0)


def limit_of(scans: Sequence[DoubtedScan]) -> ReviewLimit:
    """The limit, from labelled and drawn scans, each by members that never saw it; real and drawn are two groups.

    Raises:
        BadCohort: none of them is poor.
    """
    ratio = ratio_of(scans)
    groups: dict[bool, list[ScoredScan]] = {False: [], True: []}
    for scan in scans:
        index = served_index(scan, ratio)
        if index is not None and scan.dsc is not None:
            groups[scan.group == DRAWN].append(ScoredScan(index, scan.dsc))
    return derive_limit(list(groups.values()))


def document_of(scans: Sequence[DoubtedScan], limit: ReviewLimit, bundle: ModelBundle) -> dict[str, Any]:
    """Everything measured, and what follows."""
    labelled = [scan for scan in scans if scan.manual_ml is not None and scan.group != DRAWN]
    pairs = [VolumePair(scan.patient, scan.manual_ml or 0.0, scan.predicted_ml) for scan in labelled]
    interval, ratio = calibrate(pairs, NOMINAL), ratio_of(scans)
    groups = dict.fromkeys(scan.group for scan in scans)
    return {
        "model": {"name": bundle.identity.name, "weights": weights_digest(bundle)},
        "limit": asdict(limit),
        "ratio": ratio,
        "by_group": {group: _tried(group, scans, limit.limit, ratio) for group in groups},
        "interval": {**asdict(interval), "width": interval.width},
        "scans": [asdict(scan) for scan in scans],
    }


def weights_digest(bundle: ModelBundle) -> str:
    """Names the weights that decide a mask, whatever the version: what was measured holds as long as they stay."""
    names = sorted(name for name in bundle.manifest.files if name.startswith(("member-", "anatomy.")))
    settings = json.dumps(bundle.manifest.input.model_dump(mode="json", exclude_none=True), sort_keys=True)
    text = "".join(bundle.manifest.files[name].sha256 for name in names) + settings
    return hashlib.sha256(text.encode()).hexdigest()


def in_words(document: dict[str, Any]) -> str:
    """The section of a model card."""
    limit, interval = document["limit"], document["interval"]
    groups = "\n".join(
        f"| {group} | {row['judged_by']} | {row['scans']} | {row['sent']} | {row['poor_sent']} of {row['poor']} |"
        for group, row in document["by_group"].items()
    )
    empty = [scan for scan in document["scans"] if scan["index"] is None]
    nothing, missed = len(empty), sum((scan["manual_ml"] or 0.0) > 0 for scan in empty)
    correlation = "undefined" if limit["correlation"] is None else f"{limit['correlation']:.2f}"
    return f"""
Results with an uncertainty index above **{limit["limit"]:.3f}** are sent to review. The aim: of the scans with a DSC
below {POOR_BELOW_DSC:g}, at least {CATCH:.0%} are sent, of the real and of the drawn ones, and of the others as few as
that allows. Derived from
{limit["scans"]} scans with a mask, {limit["poor"]} of them that poor, by members that never saw the patient:
{limit["caught"]:.0%} of the poor that have an index are sent, and {limit["sent"]:.0%} of all, on the scans that the
limit was chosen by; r of index and DSC {correlation}.
`make doubt` derives it again. Where only some members never saw a patient, their index times {document["ratio"]:.2f}
stands for the ensemble's: so much larger is it, in the median, on the scans that no member saw. The drawn scans are
new, the heads that they are drawn from are not. A result without any WMH has no index, and this limit says nothing
of it: {nothing} of the scans, {missed} of them with WMH in the mask.

| scans | scored by | how many | sent to review | sent, of those with a DSC below {POOR_BELOW_DSC:g} |
|---|---|---|---|---|
{groups}

A reader's volume lies between the model's divided and multiplied by **{interval["factor"]:.2f}** for
{interval["nominal"]:.0%} of new patients, if they are like the {interval["patients"]} that it was measured on, each by
members that never saw the patient (split conformal prediction; several scans of a patient count as their worst).
Leaving each patient out in turn, the interval held {interval["coverage"]:.0%} of them; its width is
{interval["width"]:.2f} times the volume. Other scanners and diseases than multiple sclerosis are not covered.
"""


def _tried(group: str, scans: Sequence[DoubtedScan], limit: float, ratio: float) -> dict[str, Any]:
    own = [scan for scan in scans if scan.group == group]
    sent = [scan for scan in own if (served_index(scan, ratio) or 0.0) > limit]
    poor = [scan for scan in own if scan.dsc is not None and scan.dsc < POOR_BELOW_DSC]
    return {
        "scans": len(own),
        "sent": len(sent),
        "poor": len(poor),
        "poor_sent": sum(scan in sent for scan in poor),
        "judged_by": "the whole ensemble"
        if all(scan.is_whole for scan in own)
        else "members that never saw the patient",
    }


def _tasks(
    data: Sequence[str],
    patients: Sequence[Path],
    drawn: Path | None,
    most_drawn: int,
    unlabelled: Sequence[Path],
    images: Mapping[str, str],
    ignores_rims: bool,
) -> Iterator[_Task]:
    for place, text in enumerate(data):
        group, _, folder = text.partition("=")
        for case in load_cases(Path(folder), patients[place] if place < len(patients) else None):
            slabs = in_slabs(case, _SLAB_MM)
            if ignores_rims:
                slabs = with_ignored_rims(slabs)
            patient = images.get(case.volume.voxels_digest) or case.patient  # a training image, under any name
            yield _Task(
                group,
                case.name,
                patient,
                lambda slabs=slabs: (slabs.volume, slabs.wmh),  # type: ignore[misc]
                slabs.ignore,
            )
    for file in scan_files(drawn)[:most_drawn] if drawn else ():
        yield _Task(DRAWN, file.stem, file.stem, lambda file=file: _drawn(file))  # type: ignore[misc]
    for file in (file for folder in unlabelled for file in sorted(folder.glob("*.nii.gz"))):
        name = file.name.removesuffix(".nii.gz")
        yield _Task(UNLABELLED, name, name, lambda file=file: (read_flair_nifti(file)[0], None))  # type: ignore[misc]


def _drawn(file: Path) -> tuple[FlairVolume, Mask]:
    scan = read_scan(file)
    return FlairVolume(scan.flair, scan.spacing_mm), scan.wmh


def _measured(tasks: Iterator[_Task], bundle: ModelBundle, cache: Path | None) -> list[DoubtedScan]:
    found, remembering = [], None
    known = weights_digest(bundle)[:12]
    for task in tasks:
        kept = None if cache is None else cache / known / f"{task.group}-{task.case}.json"
        unseen = bundle.members_that_never_saw(task.patient)
        if not unseen:
            raise BadCohort(f"{task.case}: expected members that never saw this patient, all did")
        if kept is not None and kept.exists():
            before = DoubtedScan(**json.loads(kept.read_text()))
            if bundle.members_that_never_saw(before.patient) == unseen:  # the same members
                found.append(replace(before, patient=task.patient))
                continue
        remembering = remembering or _Remembering(open_ensemble(bundle, "auto"))
        scan = score_scan(task, unseen, bundle.members, remembering)
        found.append(scan)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(asdict(scan)))
        typer.echo(f"{scan.group} {scan.case}: index {scan.index} DSC {scan.dsc}", err=True)
    return found


def main(
    data: Annotated[list[str], typer.Option(help="NAME=DIR: a scanner and its folder of labelled cases")],
    bundle: Annotated[Path | None, typer.Option(help="bundle folder; default: the shipped reference")] = None,
    patients: Annotated[list[Path] | None, typer.Option(help="CSVs: case,patient; one a folder")] = None,
    drawn: Annotated[Path | None, typer.Option(help="scans of training.synthesis.stream that no member saw")] = None,
    most_drawn: Annotated[int, typer.Option(help="so many of them")] = 60,
    unlabelled: Annotated[list[Path] | None, typer.Option(help="folders of FLAIR as NIfTI without masks")] = None,
    cache: Annotated[Path | None, typer.Option(help="folder where what was measured is kept")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write")] = None,
    version: Annotated[str | None, typer.Option(help="write the outcome into the bundle, as this version")] = None,
) -> None:
    """Print the review limit and the volume interval that these scans support."""
    loaded = load_bundle(bundle or reference_bundle())
    images = loaded.manifest.training.images or {}
    # A model that marks caps and rims is not wrong where a reader of abnormal WMH left them out.
    ignores_rims = loaded.manifest.definition == "all"
    tasks = _tasks(data, patients or (), drawn, most_drawn, unlabelled or (), images, ignores_rims)
    scans = _measured(tasks, loaded, cache)
    document = document_of(scans, limit_of(scans), loaded)
    if out is not None:
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if version is not None:
        trained = load_cases(Path(data[0].partition("=")[2]), patients[0] if patients else None)
        _write(document, bundle or reference_bundle(), version, trained)
    typer.echo(json.dumps({key: document[key] for key in ("limit", "by_group", "interval")}, indent=1))


def _write(document: dict[str, Any], folder: Path, version: str, trained: Sequence[LabelledCase]) -> None:
    interval = document["interval"]
    predictive = PredictiveContract(**{key: interval[key] for key in ("nominal", "factor", "coverage", "patients")})
    written = restate(
        folder,
        version,
        in_words(document),
        review_above=document["limit"]["limit"],
        predictive=predictive,
        images={case.volume.voxels_digest: case.patient for case in trained},
    )
    typer.echo(f"{written.identity.name} {written.identity.version} {written.identity.digest}", err=True)


if __name__ == "__main__":
    typer.run(main)
