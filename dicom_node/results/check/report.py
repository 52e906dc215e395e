"""A measurement report against its templates: TID 1500 and what it includes (PS3.16), and against its segmentations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.results.check.checked import Checked, NamedObject
from dicom_node.results.check.content_tree import Code, children, code_of, descendants
from dicom_node.series.dicom import values

MEASUREMENT_REPORT: Final[Code] = ("126000", "DCM")
MEASUREMENTS: Final[Code] = ("126010", "DCM")
GROUP: Final[Code] = ("125007", "DCM")
TRACKING_NAME: Final[Code] = ("112039", "DCM")
TRACKING_UID: Final[Code] = ("112040", "DCM")
REFERENCED_SEGMENT: Final[Code] = ("121191", "DCM")
SOURCE_SERIES: Final[Code] = ("121232", "DCM")
OBSERVER_TYPE: Final[Code] = ("121005", "DCM")
DEVICE: Final = "121007"
# What a group repeats of its segment: concept and attribute there, keyword here.
_TRACKED: Final = ((TRACKING_UID, "UID", "TrackingUID"), (TRACKING_NAME, "TextValue", "TrackingID"))


@dataclass(frozen=True)
class Row:
    """A row of a template that must be there.

    Attributes:
        template: where it comes from, with the row's number.
        concept, name: what it is about.
        value_type: which kind of item; "" for any.
    """

    template: str
    concept: Code
    name: str
    value_type: str


# PS3.16, edition 2024. Rows that are user options there, and that IHE AI Results or we require, say so.
ROOT_ROWS: Final = (
    Row("TID 1001, row 1", OBSERVER_TYPE, "Observer Type", "CODE"),
    Row("TID 1004, row 1", ("121012", "DCM"), "Device Observer UID", "UIDREF"),
    Row("TID 1500, row 4", ("121058", "DCM"), "Procedure Reported", "CODE"),
    Row("TID 1500, row 5, IHE AIR", ("111028", "DCM"), "Image Library", "CONTAINER"),
)
# One of these holds what was found (TID 1500, rows 6 to 12).
FINDINGS: Final[tuple[Code, ...]] = (MEASUREMENTS, ("126011", "DCM"), ("C0034375", "UMLS"))
GROUP_ROWS: Final = (
    Row("TID 1411, row 2", TRACKING_NAME, "Tracking Identifier", "TEXT"),
    Row("TID 1411, row 3", TRACKING_UID, "Tracking Unique Identifier", "UIDREF"),
    Row("TID 1411, row 5, IHE AIR", ("121071", "DCM"), "Finding", "CODE"),
    Row("TID 4019, row 1", ("111001", "DCM"), "Algorithm Name", "TEXT"),
    Row("TID 4019, row 2", ("111003", "DCM"), "Algorithm Version", "TEXT"),
)
SEGMENT_ROWS: Final = (
    Row("TID 1411, row 7", REFERENCED_SEGMENT, "Referenced Segment", "IMAGE"),
    Row("TID 1411, row 12", SOURCE_SERIES, "Source series for segmentation", "UIDREF"),
)


def check_templates(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for rows that are missing."""
    for report in checked.reports:
        root = report.dataset
        if code_of(root) != MEASUREMENT_REPORT:
            yield report.name, "its root is no Imaging Measurement Report (TID 1500, row 1)"
            continue
        template = values.first_item(root, "ContentTemplateSequence") or Dataset()
        if values.text(template, "TemplateIdentifier") != "1500" or values.text(template, "MappingResource") != "DCMR":
            yield report.name, "its root does not name its template, DCMR 1500 (PS3.3 C.18.8)"
        for sentence in (*_missing(root, ROOT_ROWS), *_faults_of_state(root)):
            yield report.name, sentence
        if not any(children(root, finding) for finding in FINDINGS):
            yield report.name, "has neither measurements nor evaluations (TID 1500, rows 6 to 12)"
        for number, group in enumerate(groups_of(root), start=1):
            for sentence in _faults_of_group(group):
                yield report.name, f"measurement group {number} {sentence}"


def _faults_of_state(root: Dataset) -> Iterator[str]:
    """No person has seen the report; the device made it (PS3.3 C.17.2, TID 1002)."""
    if values.text(root, "VerificationFlag") != "UNVERIFIED":
        yield "is not UNVERIFIED, although no person has checked it"
    if any(code_of(item, "ConceptCodeSequence")[0] != DEVICE for item in children(root, OBSERVER_TYPE)):
        yield "has an observer that is no device (TID 1002)"


def _faults_of_group(group: Dataset) -> Iterator[str]:
    template = values.first_item(group, "ContentTemplateSequence") or Dataset()
    rows = GROUP_ROWS if values.text(template, "TemplateIdentifier") == "1501" else GROUP_ROWS + SEGMENT_ROWS
    yield from _missing(group, rows)
    if not any(values.text(item, "ValueType") == "NUM" for item in children(group)):
        yield "has no measurement (TID 1419, row 5)"


def _missing(item: Dataset, rows: tuple[Row, ...]) -> Iterator[str]:
    for row in rows:
        found = children(item, row.concept)
        if not found:
            yield f"has no {row.name} ({row.template})"
        elif any(values.text(child, "ValueType") != row.value_type for child in found):
            yield f"has a {row.name} that is no {row.value_type} ({row.template})"


def groups_of(root: Dataset) -> list[Dataset]:
    """The measurement groups of a report."""
    return [group for container in children(root, MEASUREMENTS) for group in children(container, GROUP)]


@dataclass(frozen=True)
class MeasuredSegment:
    """A measurement group and the segment that it is about."""

    group: Dataset
    segmentation: NamedObject
    segment: Dataset


def measured_segments(root: Dataset, checked: Checked) -> Iterator[MeasuredSegment]:
    """The groups whose segment is in the set."""
    for group in groups_of(root):
        for reference in _segment_references(group):
            one = checked.by_uid.get(values.text(reference, "ReferencedSOPInstanceUID"))
            segment = None if one is None else _segment(one.dataset, reference)
            if one is not None and segment is not None:
                yield MeasuredSegment(group, one, segment)


def check_segments_measured(checked: Checked) -> Iterator[tuple[str, str]]:
    """A report's groups refer to segments that are there, and carry their tracking identifiers."""
    for report in checked.reports:
        for where, item in descendants(report.dataset):
            for reference in _segment_references_here(item):
                uid = values.text(reference, "ReferencedSOPInstanceUID")
                target = checked.by_uid.get(uid)
                if target is not None and _segment(target.dataset, reference) is None:
                    number = values.text(reference, "ReferencedSegmentNumber")
                    yield (
                        report.name,
                        f"content item {where} refers to segment {number} of {target.name}, which has none",
                    )
        for measured in measured_segments(report.dataset, checked):
            for sentence in (*_faults_of_tracking(measured), *_faults_of_source(measured, checked)):
                yield report.name, sentence


def _faults_of_tracking(measured: MeasuredSegment) -> Iterator[str]:
    label = values.text(measured.segment, "SegmentLabel")
    for concept, attribute, keyword in _TRACKED:
        stated = [values.text(item, attribute) for item in children(measured.group, concept)]
        if stated != [values.text(measured.segment, keyword)]:
            yield f"the group of segment {label} has another {keyword} than {measured.segmentation.name}"


def _faults_of_source(measured: MeasuredSegment, checked: Checked) -> Iterator[str]:
    series = values.text(checked.source[0], "SeriesInstanceUID")
    if any(values.text(item, "UID") != series for item in children(measured.group, SOURCE_SERIES)):
        label = values.text(measured.segment, "SegmentLabel")
        yield f"the group of segment {label} names another source series than that of the images"


def _segment_references(group: Dataset) -> Iterator[Dataset]:
    for item in children(group):
        yield from _segment_references_here(item)


def _segment_references_here(item: Dataset) -> Iterator[Dataset]:
    for reference in values.items(item, "ReferencedSOPSequence"):
        if "ReferencedSegmentNumber" in reference:
            yield reference


def _segment(dataset: Dataset, reference: Dataset) -> Dataset | None:
    number = values.whole(reference, "ReferencedSegmentNumber")
    return next(
        (
            segment
            for segment in values.items(dataset, "SegmentSequence")
            if values.whole(segment, "SegmentNumber") == number
        ),
        None,
    )
