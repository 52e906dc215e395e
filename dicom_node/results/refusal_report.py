"""The refusal report about a series that was not analysed: a report that says why, and a page for viewers that show no
reports.

A report without measurements is a TID 1500 too: of its rows 6, 10 and 12 one is enough, and row 12 holds qualitative
evaluations. The reason is one of those, coded by CID 9300, and follows as text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.node.errors import IncompleteSeries, NotAnalysable, NotFlair, UnreadableObject, UnsupportedGeometry
from dicom_node.node.profiles import DeliveryOptions, ObjectKind, SegForm
from dicom_node.node.version import MANUFACTURER, SOFTWARE_VERSION
from dicom_node.results.common import codes
from dicom_node.results.common.equipment import RESEARCH_USE
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.headers import SR_OFFSET, finish_header, result_series_number
from dicom_node.results.common.predecessor import REPLACES, ReportReference
from dicom_node.results.common.stamp import stamp_of
from dicom_node.results.common.uids import ResultUids, in_form
from dicom_node.results.pages.refusal_words import advice_for
from dicom_node.results.pages.summary import build_refusal
from dicom_node.results.report.image_library import library_of
from dicom_node.results.report.message import ResultMessage, build_messages
from dicom_node.results.report.message_content import content_of_refusal
from dicom_node.results.report.report import bare_reference, observation_context
from dicom_node.results.report.report_items import comment
from dicom_node.results.result_set import ResultObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import IMAGE_CLASSES
from segmentation.bundle import ModelIdentity

SERIES_DESCRIPTION: Final = "WMH not analysed - RESEARCH USE ONLY"
_COMPLETION: Final = "The series was not analysed"
_NOTHING_MEASURED: Final = (
    "Nothing was measured: this report does not say whether there are white matter hyperintensities."
)
_REASONS: Final = {
    IncompleteSeries: codes.OBJECT_SET_INCOMPLETE,
    UnreadableObject: codes.OBJECTS_INCORRECTLY_FORMATTED,
    UnsupportedGeometry: codes.OBJECT_TYPES_NOT_SUPPORTED,
    NotFlair: codes.OBJECT_TYPES_NOT_SUPPORTED,
}


@dataclass(frozen=True)
class RefusedSeries:
    """A series that was looked at and not analysed.

    Attributes:
        headers: its instances; of the first the whole header, of the others at least the four UIDs (SOP class and
            instance, series, study).
        instances_digest: names the instances.
        reason: why not.

    Raises:
        ValueError: no instance.
    """

    headers: Sequence[Dataset]
    instances_digest: str
    reason: NotAnalysable

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        if not self.headers:
            raise ValueError("expected at least one instance for the refusal report, got none")


@dataclass(frozen=True)
class RefusalReport:
    """What is sent about a series that was not analysed.

    Attributes:
        objects: in sending order; the reports in every form that some destination has its segmentations in, so that a
            later report names the one that is there.
        report: the report in the first form; None when no destination takes reports.
        size: rows and columns of the images, on which the form depends.
        messages: the reports to systems without DICOM.
    """

    objects: tuple[ResultObject, ...]
    report: ReportReference | None
    size: tuple[int, int]
    messages: tuple[ResultMessage, ...] = ()

    def names_for(self, options: DeliveryOptions) -> tuple[str, ...]:
        """The files that one destination is sent, in sending order."""
        if options.message is None:
            return tuple(obj.name for obj in self.of(options))
        return tuple(message.name for message in self.messages if message.kind is options.message)

    def of(self, options: DeliveryOptions) -> tuple[ResultObject, ...]:
        """What one destination is sent: the page, the report, or both, as its profile has them of a result."""
        return tuple(
            obj
            for obj in self.objects
            if obj.kind in options.kinds
            and (obj.kind is not ObjectKind.SR or obj.form == options.profile.form_for(*self.size))
        )


def build_refusal_report(
    refused: RefusedSeries,
    model: ModelIdentity,
    runtime: str,
    precision: str,
    looked_at: datetime,
    all_options: Collection[DeliveryOptions],
    predecessor: ReportReference | None = None,
) -> RefusalReport:
    """Build the refusal reports for these destinations; the same arguments give the same bytes.

    Args:
        refused: the series, and why.
        model, runtime, precision: what would have analysed it.
        looked_at: with a time zone; the time that every object carries.
        all_options: of the destinations that get one.
        predecessor: the report about an earlier state of the series.
    """
    source, reason = refused.headers[0], refused.reason
    facts = AnalysisFacts(
        uids=ResultUids(
            series_instance_uid=values.text(source, "SeriesInstanceUID"),
            instances_digest=refused.instances_digest,
            model_digest=model.digest,
            runtime=runtime,
            precision=precision,
            software_version=SOFTWARE_VERSION,
            predecessor=None if predecessor is None else predecessor.sop_instance_uid,
            refusal=f"{reason.code} {reason.reason}",
        ),
        model=model,
        runtime=runtime,
        precision=precision,
        threshold=None,
        stamp=stamp_of(looked_at, source),
        predecessor=predecessor,
    )
    objects = []
    if any(ObjectKind.SUMMARY in options.kinds for options in all_options):
        objects += [ResultObject(ObjectKind.SUMMARY, "summary.dcm", page) for page in _pages(refused, facts)]
    size = _size(source)
    forms = dict.fromkeys(options.profile.form_for(*size) for options in all_options if ObjectKind.SR in options.kinds)
    for form in forms:
        objects.append(ResultObject(ObjectKind.SR, f"sr{form.suffix}.dcm", _report(refused, facts, form), form))
    first = _report(refused, facts, SegForm())
    sentences = refusal_sentences(reason, replaces=predecessor is not None)
    content = content_of_refusal(source, sentences, str(first.SOPInstanceUID), facts)
    messages = build_messages(content, all_options)
    # A message names no report, but a later one about the series has to know that it takes the place of one.
    reference = ReportReference.to(first) if forms or messages else None
    return RefusalReport(tuple(objects), reference, size, messages)


def _size(source: Dataset) -> tuple[int, int]:
    """Rows and columns; without them the images are of no use, and any form is as good."""
    return values.whole(source, "Rows") or 0, values.whole(source, "Columns") or 0


def _pages(refused: RefusedSeries, facts: AnalysisFacts) -> tuple[Dataset, ...]:
    return build_refusal(refused.headers, refused.reason, facts)


def _report(refused: RefusedSeries, facts: AnalysisFacts, form: SegForm) -> Dataset:
    source = refused.headers[0]
    report = sr.Comprehensive3DSR(
        evidence=[bare_reference(header) for header in refused.headers],
        content=_content(refused, facts),
        series_instance_uid=in_form(facts.uids.of("refusal-sr-series"), form),
        series_number=result_series_number(source, SR_OFFSET),
        sop_instance_uid=in_form(facts.uids.of("refusal-sr-instance"), form),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=False,
        is_final=False,
        is_verified=False,
        series_description=SERIES_DESCRIPTION,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    result = Dataset()
    result.update(report)
    result.CompletionFlagDescription = _COMPLETION
    if facts.predecessor is not None:
        result.PredecessorDocumentsSequence = [facts.predecessor.in_form(form).predecessor_item()]
    finish_header(result, source, facts.model, facts.stamp)
    result.CodingSchemeIdentificationSequence = [codes.private_coding_scheme()]
    return result


def _content(refused: RefusedSeries, facts: AnalysisFacts) -> sr.ContainerContentItem:
    """TID 1500, rows 1 to 5 and 12."""
    root = sr.ContainerContentItem(codes.MEASUREMENT_REPORT, template_id="1500")
    root.ContentSequence = sr.ContentSequence(
        [
            *sr.LanguageOfContentItemAndDescendants(codes.ENGLISH),
            *observation_context(facts),
            sr.CodeContentItem(
                codes.PROCEDURE_REPORTED, codes.MR_BRAIN, relationship_type=sr.RelationshipTypeValues.HAS_CONCEPT_MOD
            ),
            _library(refused.headers),
            _evaluations(refused, facts),
        ],
        is_root=False,
        is_sr=True,
    )
    return root


def _library(headers: Sequence[Dataset]) -> sr.ContainerContentItem:
    images = {
        (str(header.SOPClassUID), str(header.SOPInstanceUID)): ()
        for header in headers
        if header.SOPClassUID in IMAGE_CLASSES
    }
    return library_of(images, values.text(headers[0], "FrameOfReferenceUID") or None)


def _evaluations(refused: RefusedSeries, facts: AnalysisFacts) -> sr.ContainerContentItem:
    """TID 1500, rows 12 to 14: the reason as a code, then as text."""
    container = sr.ContainerContentItem(
        codes.QUALITATIVE_EVALUATIONS, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    why = next((code for kind, code in _REASONS.items() if isinstance(refused.reason, kind)), codes.UNSPECIFIED_REASON)
    container.ContentSequence = sr.ContentSequence(
        [
            *sr.QualitativeEvaluation(codes.NOT_ANALYSED.concept, why),
            *(comment(text) for text in refusal_sentences(refused.reason, replaces=facts.predecessor is not None)),
        ]
    )
    return container


def refusal_sentences(reason: NotAnalysable, *, replaces: bool = False) -> tuple[str, ...]:
    """Why the series was not analysed, what was expected, and what a person can do: sentences for a radiologist."""
    advice = advice_for(reason.code)
    return (
        RESEARCH_USE,
        *((REPLACES,) if replaces else ()),
        f"Not analysed: {reason.reason}",
        f"Expected: {advice.expected}",
        f"What to do: {advice.to_do}",
        _NOTHING_MEASURED,
    )
