"""QIDO-RS (PS3.18 10.6): which of our objects a web server lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import httpx2

from dicom_node.deliver.commit.ask import ProofNotOffered
from dicom_node.deliver.stow.web_call import WebCall, require_ok
from dicom_node.deliver.verify.sent_object import SentObject
from dicom_node.node.errors import ConfigurationError, DeliveryError

_INSTANCE: Final = "00080018"
_HEADERS: Final = {"Accept": "application/dicom+json"}
_NO_QUERY: Final = (405, 501)


def find_missing_by_web(call: WebCall, objects: Sequence[SentObject]) -> list[SentObject]:
    """The objects that a server does not list.

    Raises:
        ProofNotOffered: it has no QIDO-RS.
        DeliveryError: no answer, or a status that is no success.
    """
    try:
        with call.client() as client:
            return [obj for obj in objects if not _is_listed(client, call, obj)]
    except ConfigurationError as error:
        raise DeliveryError(str(error)) from error


def look_at_service(call: WebCall) -> None:
    """Ask for one study, to see that address, TLS and login are right.

    Raises:
        DeliveryError: what is wrong.
    """
    try:
        with call.client() as client:
            answer = client.get(f"{call.destination.url}/studies", params={"limit": "1"}, headers=_HEADERS)
    except ConfigurationError as error:
        raise DeliveryError(str(error)) from error
    except httpx2.HTTPError as error:
        raise DeliveryError(f"{call.destination.name}: {call.no_answer(error)}") from error
    require_ok(answer, call.destination)


def _is_listed(client: httpx2.Client, call: WebCall, wanted: SentObject) -> bool:
    series = f"{call.destination.url}/studies/{wanted.study_instance_uid}/series/{wanted.series_instance_uid}"
    try:
        answer = client.get(f"{series}/instances", params={"SOPInstanceUID": wanted.sop_instance_uid}, headers=_HEADERS)
    except httpx2.HTTPError as error:
        raise DeliveryError(f"{call.destination.name}: {call.no_answer(error)}") from error
    if answer.status_code in _NO_QUERY:
        raise ProofNotOffered(f"{call.destination.name}: it answers no query (QIDO-RS): leave out +verify")
    if answer.status_code in (204, 404):  # some servers answer 404 where a series is not there
        return False
    require_ok(answer, call.destination)
    try:
        found = answer.json()
    except ValueError as error:
        raise DeliveryError(f"{call.destination.name}: its answer to QIDO-RS is no JSON") from error
    return any(wanted.sop_instance_uid in entry.get(_INSTANCE, {}).get("Value", []) for entry in found)
