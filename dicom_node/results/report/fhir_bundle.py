"""The report as a FHIR R4 transaction (http://hl7.org/fhir/R4): DiagnosticReport, Observations, Device.

What is new is created conditionally, by its identifier, so that a repeated transaction changes nothing. A report that
takes the place of an earlier one about the series updates that by the identifier of the series' report. Patient, study
and order are named by their identifiers: the node makes none of them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from highdicom.sr import CodedConcept

from dicom_node.node.errors import ResultError
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME, SOFTWARE_VERSION
from dicom_node.results.common import codes
from dicom_node.results.common.uids import uuid_uid
from dicom_node.results.report.message_content import NOT_MEASURED, Measured, MessageContent

_IDENTIFIERS: Final = f"urn:oid:{uuid_uid('message-identifiers')}"
_PRIVATE_CODES: Final = f"urn:oid:{uuid_uid('private-codes')}"
_DICOM_UID: Final = "urn:dicom:uid"  # R4, imagingstudy.html: values are urn:oid:UID
_SYSTEMS: Final[Mapping[str, str]] = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
    codes.PRIVATE_SCHEME: _PRIVATE_CODES,
}
_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_ID_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
# By analysed: DiagnosticReport.status and Observation.status have both. A report that takes the place of an earlier one
# stays preliminary: "amended" and "corrected" are of reports that were final (R4, valueset-diagnostic-report-status).
_STATUS: Final = {True: "preliminary", False: "cancelled"}
_WITHDRAWN: Final = "entered-in-error"
_VALUES: Final = ("valueQuantity", "valueInteger", "valueCodeableConcept", "note", "dataAbsentReason")


def build_fhir(content: MessageContent) -> bytes:
    """The transaction as JSON; the same content gives the same bytes."""
    device = _entry(_device(content), f"{_IDENTIFIERS}|{_device_id(content)}", replaces=False)
    status = _STATUS[content.analysed]
    observations = [_observation(content, one, status, device["fullUrl"]) for one in content.measured]
    observations.append(_review(content, status, device["fullUrl"]))
    entries = [
        _entry(observation, _criterion(observation, replaces=content.replaces), replaces=content.replaces)
        for observation in observations
    ]
    report = _report(content, status, [entry["fullUrl"] for entry in entries])
    whole = _entry(report, _criterion(report, replaces=content.replaces), replaces=content.replaces)
    return _json([device, *entries, whole])


def build_fhir_withdrawal(sent: bytes, reason: str, withdrawn_at: datetime) -> bytes:
    """The transaction that takes a sent one back: everything entered in error, no number, and the reason.

    Args:
        sent: the transaction that was sent.
        reason: in words of a person.
        withdrawn_at: with a time zone.

    Raises:
        ResultError: it is none of ours any more.
    """
    try:
        entries = json.loads(sent)["entry"]
        changed = [_withdrawn(entry, reason, withdrawn_at) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError("the FHIR report in the outbox is damaged, so no transaction can take it back") from error
    return _json(changed)


def _withdrawn(entry: dict[str, Any], reason: str, at: datetime) -> dict[str, Any]:
    resource = entry["resource"]
    if resource["resourceType"] == "Device":
        return entry
    kept = {name: value for name, value in resource.items() if name not in _VALUES}
    kept |= {"status": _WITHDRAWN, "issued": _instant(at)}
    if resource["resourceType"] == "DiagnosticReport":
        kept["conclusion"] = f"Withdrawn: {reason}"
    else:
        kept["dataAbsentReason"] = {"coding": [{"system": _ABSENT, "code": "error"}], "text": "withdrawn"}
    return {**_entry(kept, _criterion(kept, replaces=True), replaces=True), "fullUrl": entry["fullUrl"]}


def _json(entries: list[dict[str, Any]]) -> bytes:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return json.dumps(bundle, ensure_ascii=False, indent=1).encode()


def _entry(resource: dict[str, Any], criterion: str, *, replaces: bool) -> dict[str, Any]:
    """Conditional create (R4 http 3.1.0.8.1), or conditional update (3.1.0.7.1) where it replaces an earlier one."""
    kind = resource["resourceType"]
    request = (
        {"method": "PUT", "url": f"{kind}?identifier={criterion}"}
        if replaces
        else {"method": "POST", "url": kind, "ifNoneExist": f"identifier={criterion}"}
    )
    full_url = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{kind} {criterion}')}"
    return {"fullUrl": full_url, "resource": resource, "request": request}


def _criterion(resource: Mapping[str, Any], *, replaces: bool) -> str:
    """By which identifier it is found: that of this result, or that of the series' report whatever its state."""
    own, of_series = resource["identifier"]
    chosen = of_series if replaces else own
    return f"{chosen['system']}|{chosen['value']}"


def _identifiers(content: MessageContent, key: str) -> list[dict[str, Any]]:
    return [
        {"system": _IDENTIFIERS, "value": f"{content.report_uid}/{key}"},
        {"system": _IDENTIFIERS, "value": f"{content.order}/{key}"},
    ]


def _device_id(content: MessageContent) -> str:
    # A + of a local version (PEP 440) would be a space in the search that conditional create makes.
    return f"{content.model.digest}/{SOFTWARE_VERSION.replace('+', '_')}"


def _device(content: MessageContent) -> dict[str, Any]:
    return {
        "resourceType": "Device",
        "identifier": [{"system": _IDENTIFIERS, "value": _device_id(content)}],
        "manufacturer": MANUFACTURER,
        "deviceName": [{"name": f"{SOFTWARE_NAME}, model {content.model.name}", "type": "model-name"}],
        "version": [
            {"type": {"text": "software"}, "value": SOFTWARE_VERSION},
            {"type": {"text": "model"}, "value": content.model.version},
            {"type": {"text": "model digest"}, "value": content.model.digest},
        ],
        "note": [{"text": "RESEARCH USE ONLY"}],
    }


def _about(content: MessageContent) -> dict[str, Any]:
    """Patient, day and moment, of report and Observations."""
    found: dict[str, Any] = {}
    if patient := content.text("PatientID"):
        issuer = content.text("IssuerOfPatientID")
        identifier = {"value": patient, **({"assigner": {"display": issuer}} if issuer else {})}
        found["subject"] = {"type": "Patient", "identifier": identifier}
    if (day := content.acquired_on) is not None:
        found["effectiveDateTime"] = day.isoformat()
    found["issued"] = _instant(content.stamp.moment)
    return found


def _study(content: MessageContent) -> dict[str, Any]:
    identifier = {"system": _DICOM_UID, "value": f"urn:oid:{content.text('StudyInstanceUID')}"}
    return {"type": "ImagingStudy", "identifier": identifier}


def _observation(content: MessageContent, one: Measured, status: str, device: str) -> dict[str, Any]:
    found = {**_observed(content, one.key, status, device), "code": _concept(one.concept, one.general)}
    if one.value is None:
        found["dataAbsentReason"] = _absent(content, one.why_absent)
    else:
        value = float(one.value) if one.value != one.value.to_integral_value() else int(one.value)
        found["valueQuantity"] = {
            "value": value,
            "unit": one.unit.meaning,
            "system": _SYSTEMS["UCUM"],
            "code": one.unit.value,
        }
        if content.review:
            found["note"] = [{"text": content.summary}]
    return found


def _review(content: MessageContent, status: str, device: str) -> dict[str, Any]:
    found = _observed(content, "review", status, device)
    found["code"] = _concept(codes.REVIEW_RECOMMENDED.concept, None)
    if content.review is None:
        return {**found, "dataAbsentReason": _absent(content, NOT_MEASURED)}
    return {**found, "valueCodeableConcept": _concept(codes.YES if content.review else codes.NO, None)}


def _absent(content: MessageContent, why: str) -> dict[str, Any]:
    """HL7 code system data-absent-reason: it was not measured, or the result must not be used."""
    code = "not-performed" if not content.analysed or why == NOT_MEASURED else "error"
    return {"coding": [{"system": _ABSENT, "code": code}], "text": why}


def _observed(content: MessageContent, key: str, status: str, device: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "identifier": _identifiers(content, key),
        "status": status,
        **_about(content),
        "bodySite": _concept(codes.CEREBRAL_WHITE_MATTER, None),
        "device": {"reference": device},
        "derivedFrom": [_study(content)],
    }


def _report(content: MessageContent, status: str, observations: list[str]) -> dict[str, Any]:
    found = {
        "resourceType": "DiagnosticReport",
        "identifier": _identifiers(content, "report"),
        "status": status,
        "category": [{"coding": [{"system": _SECTION, "code": "RAD"}]}],
        "code": _concept(codes.MR_BRAIN, None),
        **_about(content),
        "result": [{"reference": url} for url in observations],
        "imagingStudy": [_study(content)],
        "conclusion": "\n".join([content.summary, *content.comments]),
    }
    if accession := content.text("AccessionNumber"):
        kind = {"coding": [{"system": _ID_TYPE, "code": "ACSN"}]}
        found["basedOn"] = [{"type": "ServiceRequest", "identifier": {"type": kind, "value": accession}}]
    return found


def _concept(concept: CodedConcept, general: CodedConcept | None) -> dict[str, Any]:
    coded = [one for one in (concept, general) if one is not None]
    return {
        "coding": [
            {"system": _SYSTEMS[one.scheme_designator], "code": one.value, "display": one.meaning} for one in coded
        ],
        "text": concept.meaning,
    }


def _instant(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat()
