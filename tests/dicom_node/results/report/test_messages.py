"""The report for systems that take no DICOM: what it says, in both forms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import hl7
import pytest
from fhir.resources.R4B import get_fhir_model_class
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from support.report_messages import NOT_RELIABLE, PATIENT, content_of, reported
from support.result_cases import ANALYSED_AT, MODEL, segmentation_of

from dicom_node.node.errors import IncompleteSeries, ResultError
from dicom_node.node.profiles import MESSAGE_OPTIONS, PROFILES, DeliveryOptions, MessageKind
from dicom_node.results.check.result_checks import check_result_set, findings_of
from dicom_node.results.check.volumes import volume_ml
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.refusal_report import RefusedSeries, build_refusal_report
from dicom_node.results.report.message import ResultMessage, build_message_withdrawal
from segmentation.plausibility import Plausibility, Reason

pytestmark = pytest.mark.slow

_ALL = tuple(MESSAGE_OPTIONS.values())
_EARLIER = ReportReference("1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4.5")


def oru(content: bytes) -> hl7.Message:
    """A message that hl7apy finds valid by HL7 v2.5.1, as the library hl7 reads it."""
    text = content.decode()
    assert parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate() is True
    return hl7.parse(text)


def bundle(content: bytes) -> list[dict[str, Any]]:
    """The entries of a transaction that fhir.resources finds valid."""
    get_fhir_model_class("Bundle").model_validate_json(content)
    found = json.loads(content)
    assert found["type"] == "transaction"
    return found["entry"]


def rows(message: hl7.Message) -> dict[str, tuple[str, str, str]]:
    """OBX by its code: value, unit, status."""
    return {str(row[3][0][0]): (str(row[5]), str(row[6]), str(row[11])) for row in message.segments("OBX")}


def observations(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By the first code."""
    found = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Observation"]
    return {one["code"]["coding"][0]["code"]: one for one in found}


def resource(entries: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == kind]
    return found


def test_one_number_in_every_report(tmp_path: Path) -> None:
    """SEG, SR, HL7 and FHIR say the same volumes, with UCUM units; the gate accepts the set."""
    series, result = reported(tmp_path)
    measured = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for group in result.sr.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == "118565006"
    ]
    from_voxels = volume_ml(result.seg, 1)
    said = rows(oru(content_of(result, MessageKind.ORU)))
    coded = observations(bundle(content_of(result, MessageKind.FHIR)))
    names = ("WMH-VOL", "WMH-VOL-PV", "WMH-VOL-DEEP")
    assert [float(said[name][0]) for name in names] == measured[:3]
    assert [coded[name]["valueQuantity"]["value"] for name in names] == measured[:3]
    assert measured[0] == pytest.approx(from_voxels, abs=0.006)
    assert {said[name][1:] for name in names} == {("mL^mL^UCUM", "P")}
    assert {coded[name]["valueQuantity"]["code"] for name in names} == {"mL"}
    check_result_set(result.objects, series.headers, result.messages)


@pytest.mark.parametrize("kind", MessageKind)
def test_the_gate_finds_another_number(kind: MessageKind, tmp_path: Path) -> None:
    """A message with another volume than the report, without a line, with another unit or unreadable is no result."""
    series, result = reported(tmp_path)
    content = content_of(result, kind)
    volume = rows(oru(content_of(result, MessageKind.ORU)))["WMH-VOL"][0].encode()
    for old, new, words in (
        (volume, volume + b"1", "mL of WMH-VOL, the report"),
        (b"WMH-VOL-PV", b"WMH-VOL-XX", "has no line about WMH-VOL-PV"),
        (b"mL^mL^UCUM" if kind is MessageKind.ORU else b'"code": "mL"', b'"code": "L"', "cannot be read back"),
        (b"MSH" if kind is MessageKind.ORU else b"{", b"?", "cannot be read back"),
    ):
        assert old in content
        broken = ResultMessage(kind, "report", content.replace(old, new))
        found = [str(finding) for finding in findings_of(result.objects, series.headers, [broken])]
        assert any(words in finding for finding in found), (old, found)


def test_a_result_that_is_not_reliable_has_no_number(tmp_path: Path) -> None:
    """No volume, no count: the words say why; the gate refuses a message that has the number nevertheless."""
    series, result = reported(tmp_path / "doubted", plausibility=NOT_RELIABLE)
    said = rows(oru(content_of(result, MessageKind.ORU)))
    entries = bundle(content_of(result, MessageKind.FHIR))
    for name in ("WMH-VOL", "WMH-VOL-PV", "WMH-VOL-DEEP", "246206008"):
        assert said[name] == ("", "", "X")
        one = observations(entries)[name]
        assert "valueQuantity" not in one
        assert one["dataAbsentReason"]["text"] == "not reliable: no brain was found"
    assert said["121111"][0] == "WMH volume not reliable: no brain was found. RESEARCH USE ONLY."
    assert said["WMH-REVIEW"][0] == "373066001^Yes^SCT"
    conclusion = resource(entries, "DiagnosticReport")["conclusion"]
    assert conclusion.startswith("WMH volume not reliable")
    notes = " ".join(str(note[3]) for note in oru(content_of(result, MessageKind.ORU)).segments("NTE"))
    for words in (conclusion, notes):
        assert "No brain was found." in words
        assert " mL" not in words and "ncertainty index" not in words
    check_result_set(result.objects, series.headers, result.messages)
    _series, sure = reported(tmp_path / "sure")
    found = findings_of(result.objects, series.headers, sure.messages)
    assert any("the report no number" in str(finding) for finding in found)


def test_doubt_stands_beside_the_number(tmp_path: Path) -> None:
    """A result to review has its number, the review flag, and the reason in words."""
    doubt = Plausibility((Reason("small", "review", "little brain", "Little brain was found."),))
    _series, result = reported(tmp_path, plausibility=doubt)
    message = oru(content_of(result, MessageKind.ORU))
    notes = [str(note[3]) for note in message.segments("NTE")]
    assert rows(message)["WMH-REVIEW"][0] == "373066001^Yes^SCT"
    assert any("Little brain was found." in note for note in notes)
    found = observations(bundle(content_of(result, MessageKind.FHIR)))
    assert "Review: little brain." in found["WMH-VOL"]["note"][0]["text"]
    assert found["WMH-REVIEW"]["valueCodeableConcept"]["coding"][0]["code"] == "373066001"


def test_patient_study_and_order_are_the_sources(tmp_path: Path) -> None:
    """Patient, accession number, day and study are the source's; names change places as XPN wants it; FHIR gets the
    patient's identifier alone; the device is the model."""
    series, result = reported(tmp_path)
    header = series.headers[0]
    message = oru(content_of(result, MessageKind.ORU))
    pid, obr = message.segment("PID"), message.segment("OBR")
    assert str(pid[3]) == "4711-0815^^^HOSP"
    assert str(pid[5]) == "Muster^Anna\\F\\M^^II^Dr"
    assert (str(pid[7]), str(pid[8])) == ("19500102", str(header.PatientSex))
    assert (str(obr[18]), str(obr[7]), str(obr[25])) == ("ACC-99", str(header.StudyDate), "P")
    assert rows(message)["113014"][0] == header.StudyInstanceUID
    content = content_of(result, MessageKind.FHIR)
    entries = bundle(content)
    report, device = resource(entries, "DiagnosticReport"), resource(entries, "Device")
    assert b"Muster" not in content and b"1950" not in content
    assert report["subject"]["identifier"] == {"value": "4711-0815", "assigner": {"display": "HOSP"}}
    assert report["basedOn"][0]["identifier"]["value"] == "ACC-99"
    assert report["status"] == "preliminary"
    assert MODEL.digest in device["identifier"][0]["value"]
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{header.StudyInstanceUID}"}
    for one in observations(entries).values():
        assert one["derivedFrom"][0]["identifier"] == study
        assert one["device"]["reference"] == entries[0]["fullUrl"]
    assert {entry["fullUrl"] for entry in entries} >= {row["reference"] for row in report["result"]}


def test_the_same_result_is_the_same_message(tmp_path: Path) -> None:
    """A second attempt gives the same bytes and the same control ID, so that a receiver knows a repeated message; each
    resource is created by its identifier only where there is none."""
    _series, first = reported(tmp_path / "1")
    _series, second = reported(tmp_path / "2")
    assert [message.content for message in first.messages] == [message.content for message in second.messages]
    for entry in bundle(content_of(first, MessageKind.FHIR)):
        request = entry["request"]
        own = entry["resource"]["identifier"][0]
        assert (request["method"], request["ifNoneExist"]) == (
            "POST", f"identifier={own['system']}|{own['value']}",
        )  # fmt: skip


def test_a_newer_result_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    """Status C with the same order number, another control ID; in FHIR the series' report is updated, and never
    counts as final."""
    _series, first = reported(tmp_path / "1")
    _series, later = reported(tmp_path / "1", predecessor=_EARLIER)
    before, after = (oru(content_of(result, MessageKind.ORU)) for result in (first, later))
    assert str(before.segment("OBR")[3]) == str(after.segment("OBR")[3])
    assert str(before.segment("MSH")[10]) != str(after.segment("MSH")[10])
    assert {str(row[11]) for row in after.segments("OBX")} == {"C"} == {str(after.segment("OBR")[25])}
    earlier = {
        name["value"]
        for entry in bundle(content_of(first, MessageKind.FHIR))
        for name in entry["resource"]["identifier"]
    }
    for entry in bundle(content_of(later, MessageKind.FHIR))[1:]:
        assert (entry["request"]["method"], entry["resource"]["status"]) == ("PUT", "preliminary")
        assert entry["request"]["url"].rpartition("|")[2] in earlier


def test_another_patient_is_another_report(tmp_path: Path) -> None:
    """Images that come again for another patient never move the first patient's report to that one."""
    series, first = reported(tmp_path)
    headers = tuple(pydicom_copy(header, PatientID="another") for header in series.headers)
    other = build(replace(series, headers=headers))
    ours, theirs = (oru(content_of(result, MessageKind.ORU)).segment("OBR")[3] for result in (first, other))
    assert str(ours) != str(theirs)


def test_a_withdrawal_leaves_no_number(tmp_path: Path) -> None:
    """Status C, or entered in error; every number is gone, the reason is there, and it is found by the same names."""
    _series, result = reported(tmp_path)
    sent = content_of(result, MessageKind.ORU)
    back = oru(build_message_withdrawal(MessageKind.ORU, sent, "wrong | side", ANALYSED_AT))
    said = rows(back)
    assert said["121111"] == ("Withdrawn: wrong \\F\\ side", "", "C")
    assert {value[2] for name, value in said.items() if name not in ("121111", "113014")} == {"W"}
    assert {value[0] for name, value in said.items() if name not in ("121111", "113014")} == {""}
    assert str(back.segment("OBR")[25]) == "C"
    assert str(back.segment("OBR")[3]) == str(oru(sent).segment("OBR")[3])
    assert str(back.segment("MSH")[10]) != str(oru(sent).segment("MSH")[10])
    sent = content_of(result, MessageKind.FHIR)
    entries = bundle(build_message_withdrawal(MessageKind.FHIR, sent, "wrong side", ANALYSED_AT))
    for entry in entries[1:]:
        assert entry["resource"]["status"] == "entered-in-error"
        assert entry["request"]["method"] == "PUT"
        assert not {"valueQuantity", "valueCodeableConcept"} & set(entry["resource"])
    assert resource(entries, "DiagnosticReport")["conclusion"] == "Withdrawn: wrong side"
    for kind in MessageKind:
        with pytest.raises(ResultError, match="damaged"):
            build_message_withdrawal(kind, b"[]", "wrong", ANALYSED_AT)


@pytest.mark.parametrize(("predecessor", "status"), [(None, "X"), (_EARLIER, "C")])
def test_a_series_that_was_not_analysed_is_reported_without_numbers(
    predecessor: ReportReference | None, status: str, tmp_path: Path
) -> None:
    """The reason in words and no number; where a result was out before, it is taken back."""
    series, _result = reported(tmp_path)
    refused = RefusedSeries(series.headers, "d" * 64, IncompleteSeries("slices_missing", "A slice is missing."))
    options = (DeliveryOptions(PROFILES["generic"]), *_ALL)
    answer = build_refusal_report(refused, MODEL, "openvino", "bf16", ANALYSED_AT, options, predecessor)
    assert answer.names_for(MESSAGE_OPTIONS[MessageKind.ORU]) == ("oru.hl7",)
    message = oru(content_of(answer, MessageKind.ORU))
    assert str(message.segment("OBR")[25]) == status
    assert rows(message)["WMH-VOL"] == ("", "", "X")
    assert any("A slice is missing." in str(note[3]) for note in message.segments("NTE"))
    entries = bundle(content_of(answer, MessageKind.FHIR))
    assert resource(entries, "DiagnosticReport")["status"] == "cancelled"
    assert not any("valueQuantity" in one for one in observations(entries).values())
    check_result_set(answer.objects, series.headers, answer.messages)


def test_a_destination_gets_its_own_form_alone(tmp_path: Path) -> None:
    """A message is made where a destination wants it, and no destination of messages gets objects."""
    _series, result = reported(tmp_path)
    assert result.names_for(MESSAGE_OPTIONS[MessageKind.ORU]) == ("oru.hl7",)
    assert result.names_for(MESSAGE_OPTIONS[MessageKind.FHIR]) == ("fhir.json",)
    without = replace(result, messages=())
    with pytest.raises(ResultError, match="expected a report as oru"):
        without.names_for(MESSAGE_OPTIONS[MessageKind.ORU])
    assert PATIENT["PatientID"] not in "".join(message.name for message in result.messages)


def build(series: Any) -> Any:
    from support.result_cases import result_set_of

    return result_set_of(series, segmentation_of(series), all_options=_ALL)


def pydicom_copy(header: Any, **changes: str) -> Any:
    from copy import deepcopy

    changed = deepcopy(header)
    for keyword, value in changes.items():
        setattr(changed, keyword, value)
    return changed
