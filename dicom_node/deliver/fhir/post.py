"""One report to a FHIR R4 server: POST of a transaction at its base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import httpx2

from dicom_node.deliver.fhir.answer import outcome_of
from dicom_node.deliver.send.scu import SendOutcome
from dicom_node.deliver.stow.web_call import WebCall, require_ok
from dicom_node.node.destinations import FhirDestination
from dicom_node.node.errors import ConfigurationError, DeliveryError

_JSON: Final = "application/fhir+json"
_HEADERS: Final = {"Content-Type": f"{_JSON}; charset=utf-8", "Accept": _JSON}
_VERSION: Final = "4.0"  # R4 is 4.0.1; R4B (4.3) has the same resources here
_VERSIONS: Final = (_VERSION, "4.3")


def post_bundles(
    paths: Sequence[Path], destination: FhirDestination, call: WebCall, go_on: Callable[[SendOutcome], bool]
) -> list[SendOutcome]:
    """Send reports.

    Args:
        paths: files with one transaction each.
        destination: the server.
        call: how to call it.
        go_on: asked after each; where it says no, those behind it are not tried.

    Returns:
        One outcome per path, in the order of `paths`.
    """
    outcomes: list[SendOutcome] = []
    for path in paths:
        outcomes.append(_post(path, destination, call))
        if not go_on(outcomes[-1]):
            break
    left = paths[len(outcomes) :]
    return [*outcomes, *(SendOutcome(path, None, False, "not tried: one before it was not taken") for path in left)]


def _post(path: Path, destination: FhirDestination, call: WebCall) -> SendOutcome:
    try:
        content = path.read_bytes()
        with call.client() as client:
            answer = client.post(destination.url, content=content, headers=_HEADERS)
    except OSError as error:
        return SendOutcome(path, None, False, f"cannot be read: {error.strerror}")
    except ConfigurationError as error:
        return SendOutcome(path, None, False, str(error))
    except httpx2.HTTPError as error:
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)  # then it may have the report
        return SendOutcome(path, None, False, call.no_answer(error), lost=sent)
    return outcome_of(answer, path, destination)


def look_at_fhir(destination: FhirDestination, call: WebCall) -> None:
    """Read its CapabilityStatement, to see that address, TLS and login are right, and that it takes transactions.

    Raises:
        DeliveryError: what is wrong.
    """
    try:
        with call.client() as client:
            answer = client.get(f"{destination.url}/metadata", headers={"Accept": _JSON})
    except ConfigurationError as error:
        raise DeliveryError(str(error)) from error
    except httpx2.HTTPError as error:
        raise DeliveryError(f"{destination.name}: {call.no_answer(error)}") from error
    require_ok(answer, destination)
    try:
        found = answer.json()
        version, rest = str(found["fhirVersion"]), found.get("rest", [])
        offered = {interaction["code"] for part in rest for interaction in part.get("interaction", [])}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DeliveryError(f"{destination.name}: its answer to /metadata is no CapabilityStatement") from error
    if not version.startswith(_VERSIONS):
        raise DeliveryError(f"{destination.name}: it speaks FHIR {version}, expected R4 ({_VERSION}): correct the URL")
    if "transaction" not in offered:
        raise DeliveryError(f"{destination.name}: it offers no transactions, which the report is sent as: allow them")
