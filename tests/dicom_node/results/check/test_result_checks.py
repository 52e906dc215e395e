"""The result checks, with result sets that were really broken."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.dicom_series import small_scan, write_scan
from support.dirty_headers import DIRTY, with_undeclared_latin
from support.result_cases import CASES, Case, result_set_of, segmentation_of, series_of
from support.validity import Named, objects_of

from dicom_node.node.errors import ResultNotValid
from dicom_node.results.check.result_checks import RULES, check_result_set, findings_of
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import read_series
from segmentation.regions import RegionRule

ELSEWHERE = "2.25.329800735698586629295641978511506172918"
PATIENT = "Nemo^Captain"


class Set(NamedTuple):
    """A result set to break: its segmentation, its report, everything, and the source's headers."""

    seg: Dataset
    sr: Dataset
    objects: list[Named]
    source: list[Dataset]

    @property
    def frames(self) -> list[Dataset]:
        """Per-frame functional groups of the SEG."""
        return list(self.seg.PerFrameFunctionalGroupsSequence)

    @property
    def shared(self) -> Dataset:
        """Shared functional groups of the SEG."""
        return self.seg.SharedFunctionalGroupsSequence[0]

    @property
    def segment(self) -> Dataset:
        """Its first segment."""
        return self.seg.SegmentSequence[0]

    @property
    def measurements(self) -> Dataset:
        """The report's container of groups."""
        return next(item for item in self.sr.ContentSequence if code(item) == "126010")

    @property
    def group(self) -> Dataset:
        """The report's first group."""
        return self.measurements.ContentSequence[0]

    def item(self, concept: str) -> Dataset:
        """The first item of a concept in the first group."""
        return next(item for item in self.group.ContentSequence if code(item) == concept)


def code(item: Dataset) -> str:
    """Code value of a content item's concept name."""
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def set_of(case: Case, folder: Path) -> Set:
    """A result set of a case, as it is built."""
    series = series_of(case, folder, patient_name=PATIENT)
    segmentation = segmentation_of(series, empty=case.empty, divided=None if case.empty else RegionRule())
    objects = list(objects_of(result_set_of(series, segmentation)))
    by_name = {obj.name: obj.dataset for obj in objects}
    return Set(by_name["seg.dcm"], by_name["sr.dcm"], objects, list(series.headers))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Set:
    """A right result set, built once; without its pages, which take long to copy."""
    one = set_of(CASES[0], tmp_path_factory.mktemp("whole"))
    return one._replace(objects=[each for each in one.objects if each.kind != "summary"])


def _again(dataset: Dataset) -> Dataset:
    """The object as it comes out of its file; faster than a deep copy."""
    return pydicom.dcmread(BytesIO(part10_bytes(dataset)))


def broken(whole: Set, how: Callable[[Set], object]) -> Set:
    """A copy of it that was broken."""
    objects = [Named(obj.kind, obj.name, _again(obj.dataset)) for obj in whole.objects]
    by_name = {obj.name: obj.dataset for obj in objects}
    one = Set(by_name["seg.dcm"], by_name["sr.dcm"], objects, [_again(header) for header in whole.source])
    how(one)
    return one


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.slow
def test_right_sets_pass(case: Case, tmp_path: Path) -> None:
    """Of every geometry, with and without WMH: nothing is found."""
    one = set_of(case, tmp_path)
    assert [str(finding) for finding in findings_of(one.objects, one.source)] == []
    check_result_set(one.objects, one.source)


def test_a_successor_passes(tmp_path: Path) -> None:
    """A report may name its predecessor, which is in neither source nor set."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    first = {made.name: made.dataset for made in objects_of(result_set_of(series, segmentation))}["sr.dcm"]
    earlier = ReportReference.to(first)
    successor = objects_of(result_set_of(series, segmentation, predecessor=earlier))
    assert findings_of(successor, series.headers) == []


def delete(*keywords: str) -> Callable[[Dataset], None]:
    """Remove elements of a data set."""

    def how(dataset: Dataset) -> None:
        for keyword in keywords:
            del dataset[keyword]

    return how


def put(item: Dataset, **values: object) -> None:
    """Set elements of a data set."""
    for keyword, value in values.items():
        setattr(item, keyword, value)


def move_frame(one: Set, by_mm: float, axis: int = 0) -> None:
    position = one.frames[2].PlanePositionSequence[0].ImagePositionPatient
    position[axis] = float(position[axis]) + by_mm


def swap_frames(one: Set) -> None:
    one.frames[2].PlanePositionSequence, one.frames[3].PlanePositionSequence = (
        one.frames[3].PlanePositionSequence,
        one.frames[2].PlanePositionSequence,
    )


def flip_one_bit(one: Set) -> None:
    pixels = bytearray(one.seg.PixelData)
    pixels[1000:1100] = b"\xff" * 100
    one.seg.PixelData = bytes(pixels)


def without(sequence: list[Dataset], concept: str) -> list[Dataset]:
    """The items but those of a concept."""
    return [item for item in sequence if code(item) != concept]


def drop_from_group(concept: str) -> Callable[[Set], None]:
    def how(one: Set) -> None:
        one.group.ContentSequence = without(one.group.ContentSequence, concept)

    return how


def drop_from_root(concept: str) -> Callable[[Set], None]:
    def how(one: Set) -> None:
        one.sr.ContentSequence = without(one.sr.ContentSequence, concept)

    return how


def source_image(one: Set) -> Dataset:
    return one.frames[1].DerivationImageSequence[0].SourceImageSequence[0]


def evidence(one: Set) -> Dataset:
    return one.sr.CurrentRequestedProcedureEvidenceSequence[0]


class Break(NamedTuple):
    """A way to break a set, the rule that must see it, and words that the finding must have."""

    rule: str
    words: str
    how: Callable[[Set], object]


BREAKS = {
    "no patient id": Break("required", "PatientID is missing", lambda s: delete("PatientID")(s.seg)),
    "no modality": Break("required", "Modality is missing", lambda s: delete("Modality")(s.sr)),
    "empty segment sequence": Break("required", "SegmentSequence is empty", lambda s: put(s.seg, SegmentSequence=[])),
    "segment without number": Break(
        "required", "SegmentSequence.SegmentNumber is missing", lambda s: delete("SegmentNumber")(s.segment)
    ),
    "segment without type": Break(
        "required",
        "SegmentedPropertyTypeCodeSequence is missing",
        lambda s: delete("SegmentedPropertyTypeCodeSequence")(s.segment),
    ),
    "no serial number": Break(
        "required", "DeviceSerialNumber is missing", lambda s: delete("DeviceSerialNumber")(s.seg)
    ),
    "no completion flag": Break("required", "CompletionFlag is empty", lambda s: put(s.sr, CompletionFlag="")),
    "other class": Break("required", "do not know", lambda s: put(s.seg, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")),
    "text too long": Break(
        "elements",
        "SeriesDescription is not legal as LO",
        lambda s: put(s.seg, SeriesDescription="RESEARCH USE ONLY " * 4),
    ),
    "lower case code": Break("elements", "Modality is not legal as CS", lambda s: put(s.sr, Modality="sr")),
    "bad date": Break("elements", "ContentDate is not legal as DA", lambda s: put(s.seg, ContentDate="20261399")),
    "bad uid": Break("elements", "TrackingUID is no legal UID", lambda s: put(s.segment, TrackingUID="1.02.3")),
    "long uid": Break(
        "elements", "SeriesInstanceUID is no legal UID", lambda s: put(s.sr, SeriesInstanceUID="2.25." + "1" * 60)
    ),
    "no number": Break(
        "elements",
        "is no finite number",
        lambda s: (
            put(s.segment, RecommendedDisplayGrayscaleValue=1) or s.segment.add_new(0x00189073, "FD", float("inf"))
        ),
    ),
    "too many values": Break(
        "elements", "has 2 values, expected 1", lambda s: put(s.seg, SeriesDescription=["RESEARCH USE ONLY", "b"])
    ),
    "wrong vr": Break("elements", "has value representation", lambda s: s.seg.add_new(0x00200013, "LO", "1")),
    "unknown attribute": Break(
        "elements", "no attribute that DICOM knows", lambda s: s.seg.add_new(0x00101234, "LO", "x")
    ),
    "characters of another set": Break(
        "elements",
        "characters that the Specific Character Set",
        lambda s: put(s.seg, SpecificCharacterSet="ISO_IR 100", ContentDescription="RESEARCH USE ONLY \u6c49"),
    ),
    "characters of none": Break(
        "elements",
        "characters that the Specific Character Set",
        lambda s: put(s.seg, SpecificCharacterSet="", ContentDescription="RESEARCH USE ONLY \u00e9"),
    ),
    "file meta of another": Break(
        "file-meta", "MediaStorageSOPInstanceUID", lambda s: put(s.seg.file_meta, MediaStorageSOPInstanceUID="2.25.1")
    ),
    "no transfer syntax": Break(
        "file-meta", "TransferSyntaxUID is missing", lambda s: delete("TransferSyntaxUID")(s.sr.file_meta)
    ),
    "one uid for two": Break(
        "unique", "has the SOP Instance UID of seg.dcm", lambda s: put(s.sr, SOPInstanceUID=s.seg.SOPInstanceUID)
    ),
    "uid of the source": Break(
        "unique", "of an instance of the source", lambda s: put(s.seg, SOPInstanceUID=s.source[0].SOPInstanceUID)
    ),
    "other patient": Break("study", "PatientID is not that of the source", lambda s: put(s.sr, PatientID="P-2")),
    "other name": Break(
        "study", "PatientName is not that of the source", lambda s: put(s.seg, PatientName="Else^Someone")
    ),
    "name emptied": Break("study", "PatientName is not that of the source", lambda s: put(s.seg, PatientName="")),
    "other study": Break("study", "StudyInstanceUID", lambda s: put(s.sr, StudyInstanceUID="2.25.3")),
    "other accession": Break("study", "AccessionNumber", lambda s: put(s.seg, AccessionNumber="A-77")),
    "in the source's series": Break(
        "series", "the source's own series", lambda s: put(s.seg, SeriesInstanceUID=s.source[0].SeriesInstanceUID)
    ),
    "two kinds in a series": Break(
        "series", "which is of another kind", lambda s: put(s.sr, SeriesInstanceUID=s.seg.SeriesInstanceUID)
    ),
    "series unlike itself": Break(
        "series",
        "SeriesNumber differs",
        lambda s: s.objects.append(Named("seg", "more.dcm", twin(s.seg, SeriesNumber=77))),
    ),
    "other space": Break(
        "frame-of-reference", "FrameOfReferenceUID", lambda s: put(s.seg, FrameOfReferenceUID="2.25.4")
    ),
    "no space": Break("frame-of-reference", "FrameOfReferenceUID", lambda s: delete("FrameOfReferenceUID")(s.seg)),
    "half a pixel aside": Break("seg-frames", "mm from the source frame", lambda s: move_frame(s, 0.5)),
    "a slice away": Break("seg-frames", "6.00 mm from the source frame", lambda s: move_frame(s, 6.0, axis=2)),
    "slices swapped": Break("seg-frames", "mm from the source frame", swap_frames),
    "mirrored": Break(
        "seg-frames",
        "ImageOrientationPatient of frame 1",
        lambda s: put(s.shared.PlaneOrientationSequence[0], ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]),
    ),
    "other spacing": Break(
        "seg-frames", "PixelSpacing of frame 1", lambda s: put(s.shared.PixelMeasuresSequence[0], PixelSpacing=[1, 1])
    ),
    "rows for columns": Break("seg-frames", "rows and", lambda s: put(s.seg, Rows=s.seg.Columns, Columns=s.seg.Rows)),
    "frames uncounted": Break("seg-frames", "NumberOfFrames is 7", lambda s: put(s.seg, NumberOfFrames=7)),
    "no such segment": Break(
        "seg-frames",
        "of segment 9, which is not described",
        lambda s: put(s.shared.SegmentIdentificationSequence[0], ReferencedSegmentNumber=9),
    ),
    "a frame twice": Break(
        "seg-frames",
        "same segment and the same source frame",
        lambda s: put(
            source_image(s),
            ReferencedSOPInstanceUID=s.frames[2]
            .DerivationImageSequence[0]
            .SourceImageSequence[0]
            .ReferencedSOPInstanceUID,
        ),
    ),
    "frame of nothing": Break(
        "seg-frames", "names 0 source frames", lambda s: put(s.frames[1], DerivationImageSequence=[])
    ),
    "no such frame": Break("seg-frames", "does not have", lambda s: put(source_image(s), ReferencedFrameNumber=3)),
    "no measures": Break("seg-frames", "no Pixel Measures", lambda s: delete("PixelMeasuresSequence")(s.shared)),
    "shared and own": Break(
        "seg-frames",
        "Pixel Measures is in the shared groups and in",
        lambda s: put(s.frames[0], PixelMeasuresSequence=s.shared.PixelMeasuresSequence),
    ),
    "index too many": Break(
        "seg-frames", "indices for", lambda s: put(s.frames[0].FrameContentSequence[0], DimensionIndexValues=[1, 2, 3])
    ),
    "pixels cut off": Break("pixels", "bytes of pixel data", lambda s: put(s.seg, PixelData=s.seg.PixelData[:-2])),
    "no pixels": Break("pixels", "no pixel data", lambda s: delete("PixelData")(s.seg)),
    "dangling slice": Break(
        "references",
        "neither in the source nor in the set",
        lambda s: put(source_image(s), ReferencedSOPInstanceUID=ELSEWHERE),
    ),
    "dangling evidence": Break(
        "references",
        "neither in the source nor in the set",
        lambda s: put(
            evidence(s).ReferencedSeriesSequence[0].ReferencedSOPSequence[0], ReferencedSOPInstanceUID=ELSEWHERE
        ),
    ),
    "wrong class": Break(
        "references", "as of class", lambda s: put(source_image(s), ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    ),
    "report about an absent seg": Break(
        "references",
        "neither in the source nor in the set",
        lambda s: put(s.item("121191").ReferencedSOPSequence[0], ReferencedSOPInstanceUID=ELSEWHERE),
    ),
    "evidence in another series": Break(
        "series-references",
        "in a series that it is not in",
        lambda s: put(evidence(s).ReferencedSeriesSequence[0], SeriesInstanceUID=ELSEWHERE),
    ),
    "seg of another series": Break(
        "series-references",
        "in a series that it is not in",
        lambda s: put(s.seg.ReferencedSeriesSequence[0], SeriesInstanceUID=ELSEWHERE),
    ),
    "report about nothing": Break("source", "refers to no instance of the source", lambda s: forget_source(s.sr)),
    "evidence left out": Break(
        "evidence", "not listed as evidence", lambda s: delete("CurrentRequestedProcedureEvidenceSequence")(s.sr)
    ),
    "number without value": Break(
        "content-items", "is a NUM without", lambda s: put(s.item("118565006"), MeasuredValueSequence=[])
    ),
    "number without unit": Break(
        "content-items",
        "without a unit",
        lambda s: delete("MeasurementUnitsCodeSequence")(s.item("118565006").MeasuredValueSequence[0]),
    ),
    "no relationship": Break(
        "content-items", "has no RelationshipType", lambda s: delete("RelationshipType")(s.item("121071"))
    ),
    "no concept": Break(
        "content-items", "has no concept name", lambda s: put(s.sr.ContentSequence[0], ConceptNameCodeSequence=[])
    ),
    "meaningless code": Break(
        "content-items",
        "without value, scheme or meaning",
        lambda s: put(s.item("121071").ConceptCodeSequence[0], CodeMeaning=""),
    ),
    "a code with more in it": Break(
        "content-items",
        "AnatomicRegionModifierSequence in it",
        lambda s: put(s.item("121071").ConceptCodeSequence[0], AnatomicRegionModifierSequence=[]),
    ),
    "private scheme untold": Break(
        "content-items", "private scheme 99WMHNODE", lambda s: delete("CodingSchemeIdentificationSequence")(s.sr)
    ),
    "empty text": Break("content-items", "is a TEXT without TextValue", lambda s: put(s.item("112039"), TextValue="")),
    "no template": Break("templates", "DCMR 1500", lambda s: delete("ContentTemplateSequence")(s.sr)),
    "other root": Break(
        "templates", "no Imaging Measurement Report", lambda s: put(s.sr.ConceptNameCodeSequence[0], CodeValue="126001")
    ),
    "no observer": Break("templates", "Device Observer UID (TID 1004", drop_from_root("121012")),
    "no procedure": Break("templates", "Procedure Reported", drop_from_root("121058")),
    "no image library": Break("templates", "Image Library", drop_from_root("111028")),
    "no measurements": Break("templates", "neither measurements nor evaluations", drop_from_root("126010")),
    "no tracking": Break("templates", "group 1 has no Tracking Unique Identifier", drop_from_group("112040")),
    "no segment": Break("templates", "group 1 has no Referenced Segment", drop_from_group("121191")),
    "no source series": Break("templates", "Source series for segmentation", drop_from_group("121232")),
    "no finding": Break("templates", "has no Finding", drop_from_group("121071")),
    "no algorithm": Break("templates", "Algorithm Version (TID 4019", drop_from_group("111003")),
    "verified": Break("templates", "is not UNVERIFIED", lambda s: put(s.sr, VerificationFlag="VERIFIED")),
    "seen by a person": Break("templates", "no device", lambda s: observed_by_a_person(s.sr)),
    "nothing measured": Break("templates", "has no measurement", lambda s: unmeasure(s.group)),
    "segment of the report absent": Break(
        "segments-measured",
        "refers to segment 5 of seg.dcm",
        lambda s: put(s.item("121191").ReferencedSOPSequence[0], ReferencedSegmentNumber=5),
    ),
    "tracked otherwise": Break(
        "segments-measured", "another TrackingUID", lambda s: put(s.item("112040"), UID=ELSEWHERE)
    ),
    "named otherwise": Break(
        "segments-measured", "another TrackingID", lambda s: put(s.item("112039"), TextValue="Lesion")
    ),
    "group of another series": Break(
        "segments-measured", "another source series", lambda s: put(s.item("121232"), UID=ELSEWHERE)
    ),
    "volume of another": Break(
        "volumes", "mL of segment WMH", lambda s: put(s.item("118565006").MeasuredValueSequence[0], NumericValue=41.5)
    ),
    "mask of another": Break("volumes", "mL of segment WMH", flip_one_bit),
    "device untold": Break(
        "equipment", "no processing equipment", lambda s: delete("DeviceUID")(s.seg.ContributingEquipmentSequence[0])
    ),
    "label lost": Break("research-use", "RESEARCH USE ONLY", lambda s: put(s.sr, SeriesDescription="WMH measurements")),
}


def twin(dataset: Dataset, **values: object) -> Dataset:
    """Another instance of the same series."""
    made = deepcopy(dataset)
    put(made, SOPInstanceUID=ELSEWHERE, **values)
    made.file_meta.MediaStorageSOPInstanceUID = ELSEWHERE
    return made


def forget_source(sr: Dataset) -> None:
    del sr.CurrentRequestedProcedureEvidenceSequence
    sr.ContentSequence = []


def observed_by_a_person(sr: Dataset) -> None:
    (observer,) = [item for item in sr.ContentSequence if code(item) == "121005"]
    put(observer.ConceptCodeSequence[0], CodeValue="121006", CodeMeaning="Person")


def unmeasure(group: Dataset) -> None:
    group.ContentSequence = [item for item in group.ContentSequence if item.ValueType != "NUM"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # values are set that pydicom warns of
@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.slow
def test_a_break_is_seen(whole: Set, name: str) -> None:
    """Each way to break a set is found by the rule for it, in a sentence that says what is wrong."""
    rule, words, how = BREAKS[name]
    one = broken(whole, how)
    found = findings_of(one.objects, one.source)
    assert any(finding.rule == rule and words in str(finding) for finding in found), [str(f) for f in found]


def test_a_broken_set_does_not_pass(whole: Set) -> None:
    """The error has every finding in words, and its message the first few."""
    one = broken(whole, lambda s: (put(s.sr, PatientID="P-2"), put(s.seg, StudyInstanceUID="2.25.3")))
    with pytest.raises(ResultNotValid, match=r"sr\.dcm: PatientID is not that of the source") as refused:
        check_result_set(one.objects, one.source)
    assert refused.value.findings == tuple(str(finding) for finding in findings_of(one.objects, one.source))


def test_each_rule_was_broken() -> None:
    """No rule of the checks is without a set that it holds back; of messages see `results.report.test_messages`."""
    assert {rule.name for rule in RULES} - {"messages"} == {broken.rule for broken in BREAKS.values()}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name", ["other name", "name emptied", "other patient", "other accession", "characters of none"]
)
def test_no_finding_tells_of_the_patient(whole: Set, name: str) -> None:
    """Findings go to logs and to the job table: neither the source's identity nor the wrong one is in them."""
    one = broken(whole, BREAKS[name].how)
    told = " ".join(str(finding) for finding in findings_of(one.objects, one.source))
    for secret in ("Nemo", "Captain", "Else", "Someone", "P-2", "A-77", str(one.source[0].PatientID)):
        assert secret not in told


def test_a_set_that_cannot_be_read_is_held_too(whole: Set) -> None:
    """A rule that stumbles is a finding, not a crash of the checks, and the other rules still speak."""
    one = broken(whole, lambda s: (put(s.seg, PixelData=None), put(s.sr, PatientID="P-2")))
    found = findings_of(one.objects, one.source)
    assert any("cannot be checked for pixels" in str(finding) for finding in found)
    assert "study" in {finding.rule for finding in found}


def test_rounded_cosines_of_the_source_are_no_fault(tmp_path: Path) -> None:
    """A source may state cosines with two digits, which are neither of length 1 nor at right angles; results are."""
    one = set_of(CASES[1], tmp_path)
    for header in one.source:
        header.ImageOrientationPatient = [round(float(cosine), 2) for cosine in header.ImageOrientationPatient]
    assert [str(finding) for finding in findings_of(one.objects, one.source)] == []


@pytest.mark.filterwarnings("ignore::UserWarning")  # the test writes such values on purpose
@pytest.mark.parametrize("name", DIRTY)
@pytest.mark.slow
def test_dirty_headers_of_the_source_hold_nothing_back(name: str, tmp_path: Path) -> None:
    """Whatever the scanner or the RIS wrote: the results can be sent, under the very identity that the images have."""
    series = series_of(CASES[0], tmp_path, extra=DIRTY[name].elements)
    objects = objects_of(result_set_of(series, segmentation_of(series)))
    assert [str(finding) for finding in findings_of(objects, series.headers)] == []
    for obj in objects:
        sent = pydicom.dcmread(BytesIO(part10_bytes(obj.dataset)))
        for keyword in DIRTY[name].passed_on:
            assert sent.get_item(keyword).value == raw_of(tmp_path, keyword), keyword
        for keyword in DIRTY[name].left_out:
            assert keyword not in sent, keyword
            assert all(keyword not in item for item in sent.ContributingEquipmentSequence[1:]), keyword


def test_undeclared_characters_of_the_source_hold_nothing_back(tmp_path: Path) -> None:
    """Latin-1 without SpecificCharacterSet: names pass with their bytes, a station's name stays away."""
    series = with_undeclared_latin(CASES[0], tmp_path)
    objects = objects_of(result_set_of(series, segmentation_of(series)))
    assert [str(finding) for finding in findings_of(objects, series.headers)] == []
    for obj in objects:
        sent = pydicom.dcmread(BytesIO(part10_bytes(obj.dataset)))
        assert sent.get_item("PatientName").value.strip() == b"M\xfcller^J\xfcrg"
        assert all("StationName" not in item for item in sent.ContributingEquipmentSequence[1:])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "StudyDescription"])
def test_an_illegal_identity_of_our_own_is_still_found(whole: Set, keyword: str) -> None:
    """Only what the source holds word for word is let pass; and neither value is reported."""
    one = broken(whole, lambda s: put(s.seg, **{keyword: "WRONG" * 20}))
    found = findings_of(one.objects, one.source)
    assert {"elements", "study"} <= {finding.rule for finding in found}
    assert "WRONG" not in " ".join(map(str, found))


def raw_of(folder: Path, keyword: str) -> object:
    """The undecoded bytes of an element of the source."""
    element = pydicom.dcmread(min(folder.iterdir())).get_item(keyword)
    assert element is not None
    return element.value


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # the test writes such values on purpose
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_malformed_uids_of_the_source_are_passed_on(enhanced: bool, tmp_path: Path) -> None:
    """UIDs that the source's files hold are repeated as they are, and are no fault of the result's."""
    files = write_scan(small_scan(), tmp_path, enhanced=enhanced)
    for number, file in enumerate(files):
        instance = pydicom.dcmread(file)
        uids = {"StudyInstanceUID": "1.2.00.4", "SeriesInstanceUID": "1.2.00.5", "FrameOfReferenceUID": "1.2.00.6"}
        put(instance, SOPInstanceUID=f"1.2.03.{number}", **uids)
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.save_as(file)
    series = read_series(files)
    assert {frame.sop_instance_uid for frame in series.frames} == {f"1.2.03.{n}" for n in range(len(files))}
    objects = objects_of(result_set_of(series, segmentation_of(series)))
    assert [str(finding) for finding in findings_of(objects, series.headers)] == []
    for obj in objects:
        assert obj.dataset.StudyInstanceUID == "1.2.00.4"
        assert obj.dataset.get("FrameOfReferenceUID", "1.2.00.6") == "1.2.00.6"
    assert "1.2.03.0" in {str(element.value) for element in objects[0].dataset.iterall() if element.VR == "UI"}
