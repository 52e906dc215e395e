"""What a FHIR server's answer to a transaction means (R4 http 3.1.0.11): one table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2

from dicom_node.deliver.private_words import without
from dicom_node.deliver.send.scu import SendOutcome
from dicom_node.deliver.stow.answer import retry_after
from dicom_node.deliver.stow.web_call import trouble_words
from dicom_node.node.destinations import FhirDestination, secret_of

# The C-STORE statuses of the same meaning, by which deliveries go.
_SUCCESS: Final = 0x0000
_REFUSED: Final = 0xA900
_NOT_UNDERSTOOD: Final = 0xC000
_MOST_ISSUES: Final = 5
# HTTP status -> (outcome, words). R4 http 3.1.0.8 (create), 3.1.0.8.1 and 3.1.0.7.1 (conditional), 3.1.0.11.
_ABOUT_THE_REPORT: Final = {
    400: (_NOT_UNDERSTOOD, "it does not understand the transaction"),
    409: (_REFUSED, "it has a conflict"),
    412: (_REFUSED, "it holds several of that identifier: delete all but one there"),
    413: (_REFUSED, "the transaction is too large for it"),
    415: (_REFUSED, "it takes no FHIR JSON"),
    422: (_REFUSED, "the report breaks its rules"),
}


def outcome_of(answer: httpx2.Response, path: Path, destination: FhirDestination) -> SendOutcome:
    """The outcome of one transaction, with the status that C-STORE would have."""
    code = answer.status_code
    said = _resource(answer)
    hidden = [*_secrets(path), *_login(destination)]
    words = without("; ".join(_issues(said)), hidden)
    name = f"HTTP {code}"
    if 200 <= code < 300:
        return _stored(said, path, name, hidden)
    behind = f": {words}" if words else ""
    if code in _ABOUT_THE_REPORT:
        status, meaning = _ABOUT_THE_REPORT[code]
        return SendOutcome(path, status, False, f"{meaning}{behind}", answered=True, answer=name)
    detail = trouble_words(code, destination).removeprefix(f"{name}: ") + behind
    return SendOutcome(path, None, False, detail, answered=True, answer=name, wait_seconds=retry_after(answer))


def _stored(said: Mapping[str, Any], path: Path, name: str, hidden: Sequence[str]) -> SendOutcome:
    """A success has to be a Bundle that answers each entry: a proxy answers with a login page and 200 too."""
    if said.get("resourceType") != "Bundle" or said.get("type") not in ("transaction-response", "batch-response"):
        detail = "it does not answer as a FHIR server, and does not say that the report is stored"
        return SendOutcome(path, None, False, detail, lost=True, answered=True, answer=name)
    statuses = [str(_at(entry, "response", "status")) for entry in _rows(said, "entry")]
    if len(statuses) < _entries(path) or not all(status.startswith("2") for status in statuses):
        words = without("; ".join(_issues_of_entries(said)), hidden)
        detail = f"it did not store every part of the report{f': {words}' if words else ''}"
        return SendOutcome(path, _REFUSED, False, detail, answered=True, answer=name)
    return SendOutcome(path, _SUCCESS, True, "", answered=True, answer=name)


def _resource(answer: httpx2.Response) -> Mapping[str, Any]:
    try:
        said = answer.json()
    except (ValueError, RecursionError):  # the latter: brackets in brackets
        return {}
    return said if isinstance(said, Mapping) else {}


def _issues(said: Mapping[str, Any]) -> Iterator[str]:
    """An OperationOutcome in words: severity, what, where."""
    if said.get("resourceType") != "OperationOutcome":
        return
    for issue in _rows(said, "issue")[:_MOST_ISSUES]:
        details = _at(issue, "details", "text") or _first_display(issue)
        what = " ".join(str(part) for part in (details, issue.get("diagnostics")) if part) or str(issue.get("code", ""))
        where = issue.get("expression") or issue.get("location") or []
        place = f" at {', '.join(map(str, where))}" if isinstance(where, list) and where else ""
        yield f"{issue.get('severity', 'error')}: {what}{place}"


def _issues_of_entries(said: Mapping[str, Any]) -> Iterator[str]:
    for entry in _rows(said, "entry"):
        outcome = _at(entry, "response", "outcome")
        if isinstance(outcome, Mapping):
            yield from _issues(outcome)


def _first_display(issue: Mapping[str, Any]) -> Any:
    coding = _at(issue, "details", "coding")
    first = coding[0] if isinstance(coding, list) and coding else {}
    return first.get("display") or first.get("code") if isinstance(first, Mapping) else None


def _rows(said: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list; none where the server put something else there."""
    found = said.get(name)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _entries(path: Path) -> int:
    return len(_sent(path).get("entry", []))


def _login(destination: FhirDestination) -> list[str]:
    """Its secret, which a server may repeat."""
    return [secret_of(destination)] if destination.login in ("basic", "bearer") else []


def _secrets(path: Path) -> list[str]:
    """What the report says about the patient: identifier and accession number."""
    found: list[str] = []
    for entry in _sent(path).get("entry", []):
        resource = _at(entry, "resource")
        found.append(str(_at(resource, "subject", "identifier", "value") or ""))
        for order in _at(resource, "basedOn") or []:
            found.append(str(_at(order, "identifier", "value") or ""))
    return [text for text in dict.fromkeys(found) if text]


def _sent(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}
