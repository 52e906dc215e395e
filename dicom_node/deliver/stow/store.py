"""STOW-RS (PS3.18 10.5): one POST an object, with the answer read for that object.

Pages may go compressed where the destination is set up so. A server negotiates nothing before: what it does not take
so follows as it is, and it is offered no more in that transfer syntax while this process runs. Nor is it where the
server took it and gives no pixels of it, which a destination with `+verify` is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import httpx2

from dicom_node.deliver.send.association import ObjectBytes
from dicom_node.deliver.send.compressing import compressed
from dicom_node.deliver.send.object_file import ObjectFile, read_object_file
from dicom_node.deliver.send.scu import SendOutcome
from dicom_node.deliver.send.statuses import StoreStatus, store_status_of
from dicom_node.deliver.stow.answer import outcome_of
from dicom_node.deliver.stow.decoded import is_decoded
from dicom_node.deliver.stow.part import Part, part_of_bytes, part_of_file
from dicom_node.deliver.stow.web_call import WebCall
from dicom_node.deliver.verify.sent_object import read_sent_object
from dicom_node.node.destinations import WebDestination
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.logger import get_logger

log = get_logger()

# Login, address, load and room: true of the object in any transfer syntax.
_OF_NO_SYNTAX: Final = frozenset({401, 403, 404, 405, 408, 413, 429, 503, 507})


class RefusedSyntaxes:
    """Transfer syntaxes that web servers did not take an object in, and took it uncompressed, or do not decode; for all
    threads."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()
        self._decoded: set[tuple[str, str]] = set()

    def add(self, destination: str, transfer_syntax_uid: str) -> None:
        """From now on."""
        self._known.add((destination, transfer_syntax_uid))

    def has(self, destination: str, transfer_syntax_uid: str) -> bool:
        """Whether it was one."""
        return (destination, transfer_syntax_uid) in self._known

    def note_decoded(self, destination: str, transfer_syntax_uid: str) -> None:
        """The server has given pixels of such an object: it is not asked again."""
        self._decoded.add((destination, transfer_syntax_uid))

    def is_decoded(self, destination: str, transfer_syntax_uid: str) -> bool:
        """Whether it has."""
        return (destination, transfer_syntax_uid) in self._decoded


def store_files(
    paths: Sequence[Path],
    call: WebCall,
    go_on: Callable[[SendOutcome], bool],
    refused: RefusedSyntaxes | None = None,
) -> list[SendOutcome]:
    """Store files on a web server.

    Args:
        paths: Part 10 files.
        call: the server, and how to call it.
        go_on: asked after each file; where it says no, the files behind it are not tried.
        refused: what servers did not take before.

    Returns:
        One outcome per path, in the order of `paths`.
    """
    outcomes: list[SendOutcome] = []
    refused = refused or RefusedSyntaxes()
    try:
        with call.client() as client:
            for path in paths:
                outcomes.append(_store(path, call, client, refused))
                if not go_on(outcomes[-1]):
                    break
    except ConfigurationError as error:
        outcomes.append(SendOutcome(paths[len(outcomes)], None, False, str(error)))
        go_on(outcomes[-1])
    left = paths[len(outcomes) :]
    return [*outcomes, *(SendOutcome(path, None, False, "not tried: a file before it was not stored") for path in left)]


def _store(path: Path, call: WebCall, client: httpx2.Client, refused: RefusedSyntaxes) -> SendOutcome:
    try:
        file = read_object_file(path)
        source = _compressed(file, call, refused)
        if source is not None:
            outcome, code = _post(part_of_bytes(source), file, call, client)
            if _is_there(outcome) and _cannot_be_seen(source, call, client, refused):
                again, _code = _post(part_of_file(path), file, call, client)
                return again if _is_there(again) else outcome  # it keeps what it has
            if _is_there(outcome) or _never_came(outcome) or code in _OF_NO_SYNTAX:
                return outcome
        outcome, _code = _post(part_of_file(path), file, call, client)
    except DeliveryError as error:
        return SendOutcome(path, None, False, str(error))
    except OSError as error:
        return SendOutcome(path, None, False, f"cannot be read: {error.strerror}")
    if source is not None and _is_there(outcome):
        refused.add(call.destination.name, source.transfer_syntax_uid)
    return outcome


def _compressed(file: ObjectFile, call: WebCall, refused: RefusedSyntaxes) -> ObjectBytes | None:
    destination = call.destination
    if not isinstance(destination, WebDestination):
        return None
    return compressed(file, lambda _class, syntax: not refused.has(destination.name, syntax), destination.compress)


def _cannot_be_seen(source: ObjectBytes, call: WebCall, client: httpx2.Client, refused: RefusedSyntaxes) -> bool:
    """Whether the server has stored the object and gives no pixels of it; asked until it has given some."""
    destination, syntax = call.destination, source.transfer_syntax_uid
    if not isinstance(destination, WebDestination) or not destination.verify:
        return False
    if refused.is_decoded(destination.name, syntax):
        return False
    answer = is_decoded(client, call, read_sent_object(source.path))
    if answer:
        refused.note_decoded(destination.name, syntax)
    if answer is not False:
        return False
    refused.add(destination.name, syntax)
    log.warning(
        "the server stores pages in this transfer syntax and gives no pixels of them: they go as they are until this "
        "role is restarted. If its viewers show the next pages and not this one, leave out +compressed",
        destination=destination.name,
        transfer_syntax=syntax,
        file=source.path.name,
    )
    return True


def _is_there(outcome: SendOutcome) -> bool:
    return outcome.ok or store_status_of(outcome.status) is StoreStatus.ALREADY_THERE


def _never_came(outcome: SendOutcome) -> bool:
    return not outcome.answered and not outcome.lost


def _post(part: Part, file: ObjectFile, call: WebCall, client: httpx2.Client) -> tuple[SendOutcome, int | None]:
    """The outcome, and the HTTP status where there was an answer."""
    headers, body = part.framed()
    try:
        answer = client.post(f"{call.destination.url}/studies", content=body, headers=headers)
    except httpx2.HTTPError as error:
        # Once it was connected, it may have the object.
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        return SendOutcome(file.path, None, False, call.no_answer(error), lost=sent), None
    return outcome_of(answer, file, call.destination), answer.status_code
