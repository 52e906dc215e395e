"""The answer about a series that was not analysed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.peers import peer
from support.result_cases import ANALYSED_AT, CASES, MODEL, series_of

from dicom_node.node.errors import IncompleteSeries, NotAnalysable, NotFlair, UnreadableObject, UnsupportedGeometry
from dicom_node.node.profiles import PROFILES, DeliveryOptions, ObjectKind
from dicom_node.results.check.result_checks import check_result_set
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.uids import in_form
from dicom_node.results.refusal_report import RefusalReport, RefusedSeries, build_refusal_report, refusal_sentences
from dicom_node.results.result_set import part10_bytes

MISSING = IncompleteSeries("slices_missing", "A slice inside the stack is missing.")
GENERIC, LEGACY, SLICER = (DeliveryOptions(PROFILES[name]) for name in ("generic", "legacy", "slicer"))


def refused(folder: Path, reason: NotAnalysable = MISSING, *, enhanced: bool = False) -> RefusedSeries:
    """A series as the worker knows one that it refuses: one header, and the names of the other instances."""
    series = series_of(CASES[3] if enhanced else CASES[0], folder)
    return RefusedSeries(series.headers, "d" * 64, reason)


def answer_to(
    series: RefusedSeries, *all_options: DeliveryOptions, predecessor: ReportReference | None = None
) -> RefusalReport:
    return build_refusal_report(series, MODEL, "openvino", "bf16", ANALYSED_AT, all_options or (GENERIC,), predecessor)


def report_of(answer: RefusalReport) -> Dataset:
    (report,) = [obj.dataset for obj in answer.objects if obj.kind is ObjectKind.SR]
    return pydicom.dcmread(BytesIO(part10_bytes(report)))


def said(report: Dataset) -> list[str]:
    return [item.value for item in report.iterall() if item.keyword == "TextValue"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (IncompleteSeries, "110523"),
        (UnreadableObject, "110521"),
        (UnsupportedGeometry, "110522"),
        (NotFlair, "110522"),
        (NotAnalysable, "110513"),
    ],
)
def test_the_reason_is_a_code_and_sentences(kind: type[NotAnalysable], code: str, tmp_path: Path) -> None:
    """TID 1500 without measurements: the reason coded by CID 9300, then in a radiologist's words."""
    reason = kind("slices_missing", "A slice inside the stack is missing.")
    report = report_of(answer_to(refused(tmp_path, reason)))
    container = report.ContentSequence[-1]
    assert container.ConceptNameCodeSequence[0].CodeValue == "C0034375"
    (evaluation,) = [item for item in container.ContentSequence if item.ValueType == "CODE"]
    assert evaluation.ConceptNameCodeSequence[0].CodeValue == "WMH-NO-ANALYSIS"
    assert (evaluation.ConceptCodeSequence[0].CodeValue, evaluation.ConceptCodeSequence[0].CodingSchemeDesignator) == (
        code, "DCM",
    )  # fmt: skip
    assert set(refusal_sentences(reason)) <= set(said(report))
    assert "Not analysed: A slice inside the stack is missing." in said(report)
    assert not [item for item in report.iterall() if item.keyword == "MeasuredValueSequence"]


def test_words_tell_what_to_do_and_that_nothing_is_said_of_findings() -> None:
    """No reader may take the answer for a normal finding; ASCII, whatever the character set."""
    words = refusal_sentences(MISSING, replaces=True)
    assert any(text.startswith("What to do: Send the whole series again") for text in words)
    assert any("does not say whether there are white matter hyperintensities" in text for text in words)
    assert all(text.isascii() for text in words)
    assert len(words) == 6


def test_the_report_is_partial_unverified_and_the_patients(tmp_path: Path) -> None:
    """It lies in the source's study, refers to all of its instances and to nothing else."""
    series = refused(tmp_path)
    report = report_of(answer_to(series))
    source = series.headers[0]
    assert (report.CompletionFlag, report.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert (report.PatientID, report.StudyInstanceUID) == (source.PatientID, source.StudyInstanceUID)
    assert "RESEARCH USE ONLY" in report.SeriesDescription
    named = [
        str(item.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for part in study.ReferencedSeriesSequence
        for item in part.ReferencedSOPSequence
    ]
    assert sorted(named) == sorted(str(header.SOPInstanceUID) for header in series.headers)


def test_each_profile_gets_what_it_can_show(tmp_path: Path) -> None:
    """Report and page where both are shown, the page alone where reports are not."""
    answer = answer_to(refused(tmp_path), GENERIC, LEGACY)
    assert [obj.name for obj in answer.of(GENERIC)] == ["summary.dcm", "sr.dcm"]
    assert [obj.name for obj in answer.of(LEGACY)] == ["summary.dcm"]
    only_pages = answer_to(refused(tmp_path), LEGACY)
    assert [obj.name for obj in only_pages.objects] == ["summary.dcm"] and only_pages.report is None


def test_a_form_has_its_own_report(tmp_path: Path) -> None:
    """A later report of that form names the answer of that form as its predecessor."""
    answer = answer_to(refused(tmp_path), GENERIC, SLICER)
    (report,) = answer.of(SLICER)  # the page is not among its kinds
    assert report.name == "sr-nonempty.dcm" and answer.report is not None
    assert str(report.dataset.SOPInstanceUID) == in_form(answer.report.sop_instance_uid, report.form)
    assert answer.report == ReportReference.to(report_of(RefusalReport((answer.of(GENERIC)[-1],), None, (0, 0))))


def test_the_same_refusal_has_the_same_bytes_and_another_has_other_uids(tmp_path: Path) -> None:
    """Telling it again is harmless; another reason, or another set of instances, is another object."""
    series = refused(tmp_path)
    first, again = answer_to(series), answer_to(series)
    assert [part10_bytes(obj.dataset) for obj in first.objects] == [part10_bytes(obj.dataset) for obj in again.objects]
    others = [
        replace(series, reason=IncompleteSeries("slices_missing", "Two slices inside the stack are missing.")),
        replace(series, instances_digest="e" * 64),
    ]
    uids = [{str(obj.dataset.SOPInstanceUID) for obj in answer_to(datasets).objects} for datasets in (series, *others)]
    assert len(set.union(*uids)) == 6


def test_it_takes_the_place_of_an_earlier_report(tmp_path: Path) -> None:
    """A later image that makes the series unanalysable: the answer names the report that is there."""
    earlier = ReportReference("2.25.1", "2.25.2", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.3")
    report = report_of(answer_to(refused(tmp_path), predecessor=earlier))
    (study,) = report.PredecessorDocumentsSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.3"
    assert any("replaces an earlier one" in text for text in said(report))


@pytest.mark.peer("dciodvfy")
@pytest.mark.peer("dsrdump")
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_validators_take_it(enhanced: bool, tmp_path: Path) -> None:
    """The checks have nothing to say, dciodvfy only what is expected, and dsrdump shows the reason."""
    series = refused(tmp_path / "source", enhanced=enhanced)
    answer = answer_to(series)
    check_result_set(answer.objects, series.headers)
    for obj in answer.objects:
        file = tmp_path / obj.name
        file.write_bytes(part10_bytes(obj.dataset))
        done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]
        assert [line for line in lines if "99WMHNODE" not in line and "DeviceUID" not in line] == [], obj.name
    shown = subprocess.run(
        [peer("dsrdump"), "+Pl", str(tmp_path / "sr.dcm")], capture_output=True, text=True, check=True
    )
    assert "Object Set incomplete" in shown.stdout and "A slice inside the stack is missing." in shown.stdout
