"""What a STOW-RS answer says about one object (PS3.18 10.5.3, table 10.5.3-1, annex I.2).

| HTTP | the object | means |
|---|---|---|
| 200, 202 | in (0008,1199), no Warning Reason | stored |
| 200, 202 | in (0008,1199), Warning Reason B000, B006, B007 | stored, with a word |
| 200, 202, 409 | in (0008,1198) | by its Failure Reason, as in C-STORE; with 409 or without one refused |
| 200, 202 | not named, in JSON or HTML | not known to be stored: tried again |
| 409 | not named | refused |
| 400, 415 | | our fault, or a kind that the server does not take |
| 401, 403, 404 | | the settings are wrong; tried again, and not taken for "down" |
| 429, 503 | | tried again, not before Retry-After |
| other | | tried again |
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx2

from dicom_node.deliver.send.object_file import ObjectFile
from dicom_node.deliver.send.result_classes import words_of_class
from dicom_node.deliver.send.scu import SendOutcome
from dicom_node.deliver.send.statuses import StoreStatus, store_status_of, words_of
from dicom_node.deliver.stow.web_call import trouble_words
from dicom_node.node.destinations import FhirDestination, WebDestination

_STORED: Final = "00081199"
_FAILED: Final = "00081198"
_INSTANCE: Final = "00081155"
_WARNING_REASON: Final = "00081196"
_FAILURE_REASON: Final = "00081197"
_REFUSED: Final = 0xA900
_NOT_UNDERSTOOD: Final = 0xC000
_NOT_SUPPORTED: Final = 0x0122
_SUCCESS: Final = 0x0000
_LONGEST_WAIT_SECONDS: Final = 86_400.0


def outcome_of(answer: httpx2.Response, file: ObjectFile, destination: WebDestination | FhirDestination) -> SendOutcome:
    """The outcome of one object, with the status that C-STORE would have."""
    code = answer.status_code
    if code in (200, 202, 409):
        return _by_object(answer, file)
    if code == 400:
        detail = "HTTP 400: it does not understand our request, which is a fault of ours: please report it"
        return _answered(file, _NOT_UNDERSTOOD, detail)
    if code == 415:
        detail = f"HTTP 415: it takes no {words_of_class(file.sop_class_uid)}"
        return _answered(file, _NOT_SUPPORTED, detail, unsupported=file.sop_class_uid)
    return _answered(file, None, trouble_words(code, destination), wait_seconds=retry_after(answer))


def _by_object(answer: httpx2.Response, file: ObjectFile) -> SendOutcome:
    said = _json(answer)
    code = answer.status_code
    failure = _reason(said, _FAILED, _FAILURE_REASON, file.sop_instance_uid)
    if failure is not None:
        detail = f"HTTP {code}: {words_of(failure)}"
        meaning = store_status_of(failure)
        is_final = meaning in (StoreStatus.REFUSED, StoreStatus.NOT_UNDERSTOOD) or (
            code != 409 and meaning is not StoreStatus.STORED  # listed as failed: never stored, whatever the reason
        )
        return _answered(file, failure if is_final else _REFUSED, detail)
    if code == 409:
        return _answered(file, _REFUSED, "HTTP 409: refused, without a reason")
    warning = _reason(said, _STORED, _WARNING_REASON, file.sop_instance_uid)
    # An answer in XML is not read; any other has to name the object: a proxy answers with a login page and 200 too.
    is_xml = "dicom+xml" in answer.headers.get("Content-Type", "")
    if warning is None and (code == 202 or not is_xml):
        detail = f"HTTP {code}: it took the request, and does not say that the object is stored"
        return _answered(file, None, detail, lost=True)
    return _answered(file, warning or _SUCCESS, words_of(warning) if warning else "")


def _answered(file: ObjectFile, status: int | None, detail: str, **more: Any) -> SendOutcome:
    ok = status is not None and store_status_of(status) is StoreStatus.STORED
    return SendOutcome(file.path, status, ok, detail, answered=True, **more)


def _json(answer: httpx2.Response) -> Mapping[str, Any]:
    """The answer's data set; empty where it is in another form, which the HTTP status then stands for."""
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        return {}
    if isinstance(said, list):
        said = said[0] if said else {}
    return said if isinstance(said, Mapping) else {}


def _reason(said: Mapping[str, Any], sequence: str, reason: str, sop_instance_uid: str) -> int | None:
    """The reason that a sequence gives for an object, 0 for one without a reason; None when it does not name it."""
    for item in _values(said, sequence):
        if isinstance(item, Mapping) and sop_instance_uid in _values(item, _INSTANCE):
            number = next(iter(_values(item, reason)), 0)
            return number if isinstance(number, int) else 0
    return None


def _values(item: Mapping[str, Any], tag: str) -> list[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def retry_after(answer: httpx2.Response) -> float:
    """Seconds that the server asks us to wait (RFC 9110 10.2.3); 0 when it does not, or unreadably."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return min(float(text), _LONGEST_WAIT_SECONDS)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT_SECONDS)
