"""One entry of the audit trail as a DICOM audit message (PS3.15 A.5.1) in a syslog line (RFC 5424).

The database holds nothing of a patient, so no message names one: studies are named by UID.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from db.audit import RECEIVED, SENT
from db.records import AuditEntry
from dicom_node.upkeep.audit.events import Code, event_of

# Facility 10 (security), severity notice or warning (PS3.15 A.6.2, RFC 5424 6.2.1).
_NOTICE: Final = 10 * 8 + 5
_WARNING: Final = 10 * 8 + 4
_MESSAGE_ID: Final = "DICOM+RFC3881"  # PS3.15 A.6.2
_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"  # RFC 5424 6.4: the message is UTF-8
# XML 1.0 2.2 has no place for these, not even escaped.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SOURCE: Final = Code("110153", "DCM", "Source Role ID")
_DESTINATION: Final = Code("110152", "DCM", "Destination Role ID")
_STUDY: Final = Code("110180", "DCM", "Study Instance UID")
_APPLICATION_SERVER: Final = "4"  # PS3.15 A.5.2.2, RFC 3881 5.4.3


@dataclass(frozen=True)
class AuditSource:
    """Which node the trail is of."""

    ae_title: str
    host: str
    process_id: int


def syslog_line(number: int, entry: AuditEntry, source: AuditSource) -> bytes:
    """A line of RFC 5424, without a frame; `number` is the entry's in the trail."""
    outcome = event_of(entry.action).outcome
    host = re.sub(r"[^\x21-\x7e]", "-", source.host)[:255] or "-"
    head = (
        f"<{_WARNING if outcome else _NOTICE}>1 {entry.at:%Y-%m-%dT%H:%M:%S.%fZ} {host} wmh-node {source.process_id} "
        f'{_MESSAGE_ID} [meta sequenceId="{number % 2_147_483_647 or 1}"] '  # RFC 5424 7.3.1
    )
    return (head + _BOM + audit_message(entry, source)).encode("utf-8")


def framed(line: bytes) -> bytes:
    """With its length before it (RFC 5425 4.3)."""
    return f"{len(line)} ".encode() + line


def audit_message(entry: AuditEntry, source: AuditSource) -> str:
    """The XML of PS3.15 A.5.1."""
    event = event_of(entry.action)
    root = Element("AuditMessage")
    identification = SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.does,
        EventDateTime=entry.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(event.outcome),
    )
    _code(identification, "EventID", event.event)
    if event.kind is not None:
        _code(identification, "EventTypeCode", event.kind)
    if entry.detail:
        SubElement(identification, "EventOutcomeDescription").text = _xml_text(entry.detail)
    _participants(root, entry, source)
    audit_source = SubElement(root, "AuditSourceIdentification", AuditSourceID=f"{source.ae_title}@{source.host}")
    SubElement(audit_source, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})
    for study in (entry.about or {}).get("studies", ()):
        _study(root, str(study), entry)
    if entry.job_id is not None:
        # Type 2: system object; role 20: job (RFC 3881 5.5).
        job = SubElement(
            root, "ParticipantObjectIdentification",
            ParticipantObjectID=str(entry.job_id), ParticipantObjectTypeCode="2", ParticipantObjectTypeCodeRole="20",
        )  # fmt: skip
        _code(job, "ParticipantObjectIDTypeCode", Code("job", "99WMHNODE", "Job of wmh-node"))
        SubElement(job, "ParticipantObjectName").text = f"job {entry.job_id}"
    return tostring(root, encoding="unicode")


def _participants(root: Element, entry: AuditEntry, source: AuditSource) -> None:
    """Who acted; for transfers both sides, with their AE titles (PS3.15 A.5.3.7)."""
    about = entry.about or {}
    node = f"{source.ae_title}@{source.host}"
    if entry.action == RECEIVED:
        _participant(root, entry.who, _SOURCE, requests=True, address=about.get("address"), ae_title=entry.who)
        _participant(root, node, _DESTINATION, requests=False, address=source.host, ae_title=source.ae_title)
    elif entry.action == SENT:
        _participant(root, node, _SOURCE, requests=True, address=source.host, ae_title=source.ae_title)
        _participant(root, str(about.get("destination", "")), _DESTINATION, requests=False)
    else:
        _participant(root, entry.who, None, requests=True)


def _participant(
    root: Element, who: str, role: Code | None, *, requests: bool, address: str | None = None, ae_title: str = ""
) -> None:
    attributes = {"UserID": _xml_text(who), "UserIsRequestor": str(requests).lower()}
    if ae_title:
        attributes["AlternativeUserID"] = f"AETITLES={_xml_text(ae_title)}"
    if address:
        is_ip = re.fullmatch(r"[0-9a-fA-F:.]+", address) is not None
        attributes |= {"NetworkAccessPointID": _xml_text(address), "NetworkAccessPointTypeCode": "2" if is_ip else "1"}
    element = SubElement(root, "ActiveParticipant", attributes)
    if role is not None:
        _code(element, "RoleIDCode", role)


def _study(root: Element, uid: str, entry: AuditEntry) -> None:
    # Type 2: system object; role 3: report (PS3.15 A.5.3.7).
    element = SubElement(
        root, "ParticipantObjectIdentification",
        ParticipantObjectID=_xml_text(uid), ParticipantObjectTypeCode="2", ParticipantObjectTypeCodeRole="3",
    )  # fmt: skip
    _code(element, "ParticipantObjectIDTypeCode", _STUDY)
    SubElement(element, "ParticipantObjectName").text = _xml_text(uid)
    classes = (entry.about or {}).get("sop_classes", {})
    if classes:
        description = SubElement(element, "ParticipantObjectDescription")
        for sop_class, count in sorted(classes.items()):
            SubElement(description, "SOPClass", UID=_xml_text(str(sop_class)), NumberOfInstances=str(count))


def _code(parent: Element, name: str, code: Code) -> None:
    SubElement(
        parent, name, {"csd-code": _xml_text(code.value), "codeSystemName": code.scheme, "originalText": code.meaning}
    )


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
