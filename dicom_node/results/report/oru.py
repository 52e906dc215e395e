"""The report as an HL7 v2.5.1 message ORU^R01 (chapter 7.3.1), and the message that withdraws one.

The filler order number (OBR-3) stands for the report about a series: a message of status C with the same number takes
the place of the earlier one. Its control ID (MSH-10) follows from its content, so that a repeated message is the same.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from typing import Final

from highdicom.sr import CodedConcept

from dicom_node.node import hl7_text
from dicom_node.node.errors import ResultError
from dicom_node.node.hl7_text import Message, NotHl7, Segment, composite, escape, segment
from dicom_node.node.version import SOFTWARE_NAME, SOFTWARE_VERSION
from dicom_node.results.common import codes
from dicom_node.results.report.message_content import Measured, MessageContent

_SENDER: Final = "WMHNODE"
_CONTROL_ID: Final = 20  # MSH-10: ST, at most 20
_ORDER: Final = 14  # OBR-3: EI, at most 22 with its name space
_MOMENT: Final = "%Y%m%d%H%M%S%z"
# HL7 table 0123 (OBR-25) by (analysed, replaces an earlier report); OBX-11 takes the same values (table 0085).
_STATUS: Final = {(True, False): "P", (True, True): "C", (False, False): "X", (False, True): "C"}
_NO_RESULT, _WRONG, _CORRECTED = "X", "W", "C"
_DAY: Final = re.compile(r"\d{8}")
_SEXES: Final = ("M", "F", "O")
_STUDY: Final = ("113014", "DICOM Study", "DCM")  # IHE RAD TF-2 4.28.4.1: OBX of type HD
_REPORT_TEXT: Final = codes.SUMMARY


def build_oru(content: MessageContent) -> bytes:
    """The message, ready to be framed; the same content gives the same bytes."""
    status = _STATUS[content.analysed, content.replaces]
    moment = content.stamp.date_time
    rows = [
        _row("TX", _code(_REPORT_TEXT), escape(content.summary), status=status),
        *(_measured(one, status) for one in content.measured),
        _review(content, status),
        _row("HD", composite(_STUDY), escape(content.text("StudyInstanceUID")), status=status),
    ]
    numbered = [row.with_fields({1: str(number)}) for number, row in enumerate(rows, start=1)]
    notes = [
        segment("NTE", {1: str(number), 2: "L", 3: escape(text)})
        for number, text in enumerate(content.comments, start=1)
    ]
    body = (_patient(content), _order(content, status, moment), numbered[0], *notes, *numbered[1:])
    return _message(moment, f"{content.report_uid}\n{status}", body).as_bytes()


def build_oru_withdrawal(sent: bytes, reason: str, withdrawn_at: datetime) -> bytes:
    """The message that takes a sent one back: status C, no number, and the reason.

    Args:
        sent: the message that was sent.
        reason: in words of a person.
        withdrawn_at: with a time zone.

    Raises:
        ResultError: it is none of ours any more.
    """
    try:
        earlier = hl7_text.parse_message(sent)
    except NotHl7 as error:
        raise ResultError("the HL7 report in the outbox is damaged, so no message can take it back") from error
    moment = withdrawn_at.replace(microsecond=0).strftime(_MOMENT)
    body: list[Segment] = []
    for one in earlier.segments[1:]:
        match one.name:
            case "NTE":
                continue
            case "OBR":
                body.append(one.with_fields({22: moment, 25: _CORRECTED}))
            case "OBX" if one.field(2) == "TX":
                body.append(one.with_fields({5: escape(f"Withdrawn: {reason}"), 11: _CORRECTED}))
            case "OBX" if one.field(2) == "HD":
                body.append(one.with_fields({11: _CORRECTED}))
            case "OBX":
                body.append(one.with_fields({5: "", 11: _WRONG}))
            case _:
                body.append(one)
    return _message(moment, f"withdrawal of {earlier.header.field(10)}\n{reason}", tuple(body)).as_bytes()


def _message(moment: str, content_name: str, body: tuple[Segment, ...]) -> Message:
    header = hl7_text.header(
        {
            3: _SENDER,
            7: moment,
            9: "ORU^R01^ORU_R01",
            10: _short(content_name, _CONTROL_ID),
            11: "P",
            12: "2.5.1",
            18: hl7_text.CHARACTER_SET,
        }
    )
    return Message((header, *body))


def _patient(content: MessageContent) -> Segment:
    birth, sex = content.text("PatientBirthDate"), content.text("PatientSex")
    return segment(
        "PID",
        {
            1: "1",
            3: composite([content.text("PatientID"), "", "", content.text("IssuerOfPatientID")]),
            5: _person(content.text("PatientName")),
            7: birth if _DAY.fullmatch(birth) else "",
            8: sex if sex in _SEXES else "",
        },
    )


def _person(name: str) -> str:
    """PN (PS3.5 6.2.1.1: family, given, middle, prefix, suffix) as XPN (2.A.89: family, given, middle, suffix, prefix);
    of several spellings the first."""
    family, given, middle, prefix, suffix = (name.split("=", maxsplit=1)[0].split("^") + [""] * 5)[:5]
    return composite([family, given, middle, suffix, prefix])


def _order(content: MessageContent, status: str, moment: str) -> Segment:
    day = content.acquired_on
    return segment(
        "OBR",
        {
            1: "1",
            2: escape(content.text("PlacerOrderNumberImagingServiceRequest")),
            3: composite([_short(content.order, _ORDER), _SENDER]),
            4: _code(codes.MR_BRAIN),
            7: "" if day is None else day.strftime("%Y%m%d"),
            18: escape(content.text("AccessionNumber")),  # IHE RAD TF-2 4.4: the accession number
            22: moment,
            24: "RAD",
            25: status,
        },
    )


def _measured(one: Measured, status: str) -> Segment:
    if one.value is None:
        return _row("NM", _codes(one), "", status=_NO_RESULT)
    return _row("NM", _codes(one), f"{one.value:f}", unit=_code(one.unit), status=status)


def _review(content: MessageContent, status: str) -> Segment:
    """The review flag; without a value where no rule says anything."""
    code = _code(codes.REVIEW_RECOMMENDED.concept)
    if content.review is None:
        return _row("CWE", code, "", status=_NO_RESULT)
    return _row("CWE", code, _code(codes.YES if content.review else codes.NO), status=status)


def _row(value_type: str, code: str, value: str, *, status: str, unit: str = "") -> Segment:
    observer = composite([f"{SOFTWARE_NAME} {SOFTWARE_VERSION}"])
    return segment("OBX", {2: value_type, 3: code, 5: value, 6: unit, 11: status, 18: observer})


def _codes(one: Measured) -> str:
    """CWE: our own code first, the standard one of the same kind as the alternative."""
    if one.general is None:
        return _code(one.concept)
    return f"{_code(one.concept)}^{_code(one.general)}"


def _code(concept: CodedConcept) -> str:
    return composite([concept.value, concept.meaning, concept.scheme_designator])


def _short(text: str, length: int) -> str:
    """A name of letters and digits that stands for a text."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:length]
