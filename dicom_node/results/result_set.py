"""The result set of one series: every object that some destination is sent, and the ones that every node keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.errors import ResultError
from dicom_node.node.files import write_whole
from dicom_node.node.profiles import (
    DEFAULT_OPTIONS,
    FILE_STEMS,
    FIRST_FORM,
    DeliveryOptions,
    ObjectKind,
    Profile,
    SegForm,
)
from dicom_node.node.version import SOFTWARE_VERSION
from dicom_node.results.common.comparison import FollowUpComparison, FollowUpFinding
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.stamp import stamp_of
from dicom_node.results.common.uids import ResultUids
from dicom_node.results.earlier_forms import earlier_forms
from dicom_node.results.pages.encapsulated_pdf import build_pdf
from dicom_node.results.pages.presentation import build_presentation_state
from dicom_node.results.pages.summary import build_summary
from dicom_node.results.report.message import ResultMessage, build_messages
from dicom_node.results.report.message_content import content_of_result
from dicom_node.results.report.region_groups import rule_as_text
from dicom_node.results.report.report import ReportedSegs, build_report
from dicom_node.results.seg.regions_seg import build_regions, region_masks
from dicom_node.results.seg.wmh_seg import build_probability_map, build_seg
from dicom_node.series.read.series import FlairSeries
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation

SEG_NAME: Final = "seg.dcm"

# Kinds whose objects depend on the form of the segmentations.
_FORMED: Final = frozenset({ObjectKind.SEG, ObjectKind.REGIONS, ObjectKind.SR})
Builder = Callable[[FlairSeries, Segmentation, Sequence[str], AnalysisFacts], Sequence[Dataset]]
"""Gives the instances of one kind from the series, its segmentation, the flags of both, and the facts."""

_BUILDERS: Final[Mapping[ObjectKind, Builder]] = MappingProxyType(
    {
        ObjectKind.SUMMARY: build_summary,
        ObjectKind.PRESENTATION: lambda series, segmentation, _, facts: (
            build_presentation_state(series, segmentation, facts),
        ),
        ObjectKind.PDF: lambda *source: (build_pdf(*source),),
        ObjectKind.PROBABILITY: lambda series, segmentation, _, facts: (
            build_probability_map(series, segmentation, facts),
        ),
    }
)
# What a series may not give.
_OPTIONAL: Final = frozenset({ObjectKind.REGIONS})


@dataclass(frozen=True)
class ResultObject:
    """One instance of a result set.

    Attributes:
        kind: what it is.
        name: of its file.
        dataset: with its file meta information.
        form: of the segmentations, where the kind depends on it.
    """

    kind: ObjectKind
    name: str
    dataset: Dataset
    form: SegForm = FIRST_FORM


@dataclass(frozen=True)
class ResultSet:
    """Everything that was made of one analysis.

    Attributes:
        objects: in sending order: a report must not arrive before what it refers to.
        messages: the reports to systems without DICOM.
    """

    objects: tuple[ResultObject, ...]
    messages: tuple[ResultMessage, ...] = ()

    def names_for(self, options: DeliveryOptions) -> tuple[str, ...]:
        """The files that a destination is sent, in sending order.

        Raises:
            ResultError: the set was built without something that the destination wants.
        """
        if options.message is None:
            return tuple(obj.name for obj in self.of(options.profile, options.probability_map))
        found = tuple(message.name for message in self.messages if message.kind is options.message)
        if not found:
            raise ResultError(f"expected a report as {options.message} in the result set, it has none")
        return found

    def of(self, profile: Profile, probability_map: bool = False) -> tuple[ResultObject, ...]:
        """What a destination of this profile is sent, in sending order.

        Raises:
            ResultError: the set was built without something that the profile wants.
        """
        chosen: list[ResultObject] = []
        size = self.seg.Rows, self.seg.Columns
        for kind in DeliveryOptions(profile, probability_map).kinds:
            form = profile.form_for(*size) if kind in _FORMED else FIRST_FORM
            found = [obj for obj in self.objects if (obj.kind, obj.form) == (kind, form)]
            if not found and kind not in _OPTIONAL:
                raise ResultError(f"expected {kind} for the profile {profile.name} in the result set, it has none")
            chosen.extend(found)
        return tuple(chosen)

    @property
    def seg(self) -> Dataset:
        """The SEG of the whole WMH in the first form, which every result set has."""
        return self._first(ObjectKind.SEG)

    @property
    def sr(self) -> Dataset:
        """The report about the segmentations in the first form, which every result set has."""
        return self._first(ObjectKind.SR)

    @property
    def summary(self) -> tuple[Dataset, ...]:
        """The pages for a person, which every result set has."""
        return tuple(obj.dataset for obj in self.objects if obj.kind is ObjectKind.SUMMARY)

    def _first(self, kind: ObjectKind) -> Dataset:
        return next(obj.dataset for obj in self.objects if obj.kind is kind and obj.form == FIRST_FORM)


def build_result_set(
    series: FlairSeries,
    segmentation: Segmentation,
    model: ModelIdentity,
    runtime: str,
    precision: str,
    analysed_at: datetime,
    threshold: float | None = None,
    predecessor: ReportReference | None = None,
    all_options: Collection[DeliveryOptions] = (),
    comparison: FollowUpFinding | None = None,
) -> ResultSet:
    """Build the result set for the destinations; the same arguments give the same bytes.

    What the default profile has is always built: this is what the node keeps of an analysis, independent of its
    destinations, so that another one can get it later.

    Args:
        series: the source.
        segmentation: what was found in it.
        model: what found it.
        runtime, precision: what the model ran on, see `segmentation.ensemble`.
        analysed_at: with a time zone; the time that every object carries.
        threshold: mean probability at or above which a voxel is WMH; left out when None.
        predecessor: the report about an earlier state of the series, which this one replaces.
        all_options: what the destinations are sent.
        comparison: the change since an earlier result of the patient, or why it is not reported.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    _check(series, segmentation)
    rows, columns = series.shape[1:]
    if isinstance(comparison, FollowUpComparison):
        forms = earlier_forms(all_options, (rows, columns), comparison.earlier.size)
        comparison = replace(comparison, earlier_forms=forms)
    facts = AnalysisFacts(
        uids=ResultUids(
            series_instance_uid=series.series_instance_uid,
            instances_digest=series.instances_digest,
            model_digest=model.digest,
            runtime=runtime,
            precision=precision,
            software_version=SOFTWARE_VERSION,
            predecessor=None if predecessor is None else predecessor.sop_instance_uid,
            region_rule=None if segmentation.regions is None else rule_as_text(segmentation.regions),
            comparison=None if comparison is None else comparison.identity,
        ),
        model=model,
        runtime=runtime,
        precision=precision,
        threshold=threshold,
        stamp=stamp_of(analysed_at, series.headers[0]),
        predecessor=predecessor,
        comparison=comparison,
    )
    flags = (*series.flags, *segmentation.flags)
    wanted = (DEFAULT_OPTIONS, *all_options)
    pictures = [*_pictures(series, segmentation, flags, facts, {kind for options in wanted for kind in options.kinds})]
    pages = [picture.dataset for picture in pictures if picture.kind is ObjectKind.SUMMARY]
    found = [*_formed(series, segmentation, flags, facts, _forms(wanted, rows, columns), pages), *pictures]
    order = list(ObjectKind)
    messages = build_messages(content_of_result(series.headers[0], segmentation, flags, facts), all_options)
    return ResultSet(tuple(sorted(found, key=lambda one: order.index(one.kind))), messages)


def write_result_set(result_set: ResultSet, folder: Path) -> list[Path]:
    """Write everything into an existing folder, each file whole or not there; returns the objects' in sending order."""
    files = []
    for obj in result_set.objects:
        write_whole(folder / obj.name, part10_bytes(obj.dataset))
        files.append(folder / obj.name)
    for message in result_set.messages:
        write_whole(folder / message.name, message.content)
    return files


def part10_bytes(dataset: Dataset) -> bytes:
    """A data set with its file meta information as the bytes of a DICOM file (PS3.10)."""
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _forms(all_options: Collection[DeliveryOptions], rows: int, columns: int) -> list[SegForm]:
    """Those that some destination is sent, each once."""
    return list(
        dict.fromkeys(
            options.profile.form_for(rows, columns) for options in all_options if ObjectKind.SEG in options.kinds
        )
    )


def _formed(
    series: FlairSeries,
    segmentation: Segmentation,
    flags: Sequence[str],
    facts: AnalysisFacts,
    forms: Collection[SegForm],
    pages: Sequence[Dataset],
) -> Iterator[ResultObject]:
    """SEG, REGIONS where there are any, and the report about both; once for each form."""
    masks = region_masks(segmentation)
    for form in forms:
        segs = ReportedSegs(
            wmh=build_seg(series, segmentation.kept_mask, facts, form),
            regions=None if masks is None else build_regions(series, masks, facts, form),
            form=form,
        )
        report = build_report(series, segmentation, flags, segs, facts, pages if form.has_pages else ())
        for kind, dataset in ((ObjectKind.SEG, segs.wmh), (ObjectKind.REGIONS, segs.regions), (ObjectKind.SR, report)):
            if dataset is not None:
                yield ResultObject(kind, f"{FILE_STEMS[kind]}{form.suffix}.dcm", dataset, form)


def _pictures(
    series: FlairSeries,
    segmentation: Segmentation,
    flags: Sequence[str],
    facts: AnalysisFacts,
    kinds: Collection[ObjectKind],
) -> Iterator[ResultObject]:
    """The kinds that are the same whatever the form."""
    for kind, build in _BUILDERS.items():
        if kind in kinds:
            for number, dataset in enumerate(build(series, segmentation, flags, facts), start=1):
                more = "" if number == 1 else f"-{number}"
                yield ResultObject(kind, f"{FILE_STEMS[kind]}{more}.dcm", dataset)


def _check(series: FlairSeries, segmentation: Segmentation) -> None:
    expected, found = series.shape, segmentation.kept_mask.shape
    if found != expected:
        raise ResultError(f"expected a mask of shape {expected} as the series, got {found}")
    if segmentation.kept_mask.inside.dtype != bool:
        raise ResultError(f"expected a mask of bool, got {segmentation.kept_mask.inside.dtype}")
    if len(series.frames) != expected[0] or not series.headers:
        raise ResultError(
            f"expected {expected[0]} source frames with headers, got {len(series.frames)} with {len(series.headers)}"
        )
