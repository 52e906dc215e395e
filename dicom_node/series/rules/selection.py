"""Which series of a folder are analysed: the best FLAIR of each study; the others are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.node.errors import IncompleteSeries, NotFlair
from dicom_node.series.dicom import values
from dicom_node.series.dicom.folder import SeriesFiles
from dicom_node.series.geometry.stacking import MIN_SLICES
from dicom_node.series.rules.candidates import FlairCandidate, candidate_of
from dicom_node.series.rules.flair import classify_series

_MOST_REASONS: Final = 10


@dataclass(frozen=True)
class SkippedSeries:
    """A FLAIR series that is not analysed since its study has a better one.

    Attributes:
        series: which one; `better`: what is analysed. Both as a person at the files says it.
    """

    series: str
    better: str


@dataclass(frozen=True)
class Selection:
    """Series to analyse, at least one, one for each study; and what is left out for them."""

    chosen: tuple[SeriesFiles, ...]
    skipped: tuple[SkippedSeries, ...]


def select_series(found: Sequence[SeriesFiles]) -> Selection:
    """Choose among the series of a folder.

    A single series is chosen whatever it is: reading says what is wrong with it.

    Raises:
        NotFlair: none of several is a brain FLAIR; with the reason for each.
        IncompleteSeries: `slice_per_series`, a study's slices are divided among series.
    """
    if len(found) == 1:
        return Selection((found[0],), ())
    studies: dict[str, list[tuple[FlairCandidate, SeriesFiles]]] = {}
    for series in found:
        if (candidate := candidate_of(series.headers)) is not None:
            study = values.text(series.headers[0], "StudyInstanceUID")
            studies.setdefault(study, []).append((candidate, series))
    if not studies:
        raise NotFlair("no_flair", f"None of {len(found)} series is a brain FLAIR. {_reasons(found)}")
    chosen, skipped = [], []
    for members in studies.values():
        _require_stacks([candidate for candidate, _ in members])
        members.sort(key=lambda member: (member[0].order, member[1].series_instance_uid))
        (best, series), *others = members
        chosen.append(series)
        skipped += [SkippedSeries(_called(*other), _called(best, series)) for other in others]
    return Selection(tuple(chosen), tuple(skipped))


def _require_stacks(candidates: Sequence[FlairCandidate]) -> None:
    most = max(candidate.slices for candidate in candidates)
    if len(candidates) > 1 and most < MIN_SLICES:
        raise IncompleteSeries.slice_per_series(len(candidates), 1 if most == 1 else MIN_SLICES)


def _called(candidate: FlairCandidate, series: SeriesFiles) -> str:
    name = f'"{candidate.description}", ' if candidate.description else ""
    return f"{name}{candidate.name} ({series.series_instance_uid})"


def _reasons(found: Sequence[SeriesFiles]) -> str:
    verdicts = [(series, classify_series(series.headers)) for series in found[:_MOST_REASONS]]
    return " ".join(f"{_named(series)}: {verdict.reason}" for series, verdict in verdicts)


def _named(series: SeriesFiles) -> str:
    number = values.whole(series.headers[0], "SeriesNumber")
    which = "A series without number" if number is None else f"Series {number}"
    return f"{which}, {len(series.paths)} files ({series.series_instance_uid})"
