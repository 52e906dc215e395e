"""STOW-RS (PS3.18 10.5): one POST an object, streamed from its file as it is, with the answer read for that object."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx2

from dicom_node.deliver.send.object_file import read_object_file
from dicom_node.deliver.send.scu import SendOutcome
from dicom_node.deliver.stow.answer import outcome_of
from dicom_node.deliver.stow.web_call import WebCall
from dicom_node.node.errors import ConfigurationError, DeliveryError

_CHUNK_BYTES: Final = 1024 * 1024


def store_files(paths: Sequence[Path], call: WebCall, go_on: Callable[[SendOutcome], bool]) -> list[SendOutcome]:
    """Store files on a web server.

    Args:
        paths: Part 10 files.
        call: the server, and how to call it.
        go_on: asked after each file; where it says no, the files behind it are not tried.

    Returns:
        One outcome per path, in the order of `paths`.
    """
    outcomes: list[SendOutcome] = []
    try:
        with call.client() as client:
            for path in paths:
                outcomes.append(_store(path, call, client))
                if not go_on(outcomes[-1]):
                    break
    except ConfigurationError as error:
        outcomes.append(SendOutcome(paths[len(outcomes)], None, False, str(error)))
        go_on(outcomes[-1])
    left = paths[len(outcomes) :]
    return [*outcomes, *(SendOutcome(path, None, False, "not tried: a file before it was not stored") for path in left)]


def _store(path: Path, call: WebCall, client: httpx2.Client) -> SendOutcome:
    try:
        file = read_object_file(path)
        size = path.stat().st_size
    except DeliveryError as error:
        return SendOutcome(path, None, False, str(error))
    except OSError as error:
        return SendOutcome(path, None, False, f"cannot be read: {error.strerror}")
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {size}\r\n\r\n".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(len(head) + size + len(tail)),  # some servers take no chunked transfer
        "Accept": "application/dicom+json",
    }
    try:
        answer = client.post(f"{call.destination.url}/studies", content=_body(path, size, head, tail), headers=headers)
    except OSError as error:
        return SendOutcome(path, None, False, f"cannot be read: {error.strerror}")
    except httpx2.HTTPError as error:
        # Once it was connected, it may have the object.
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        return SendOutcome(path, None, False, call.no_answer(error), lost=sent)
    return outcome_of(answer, file, call.destination)


def _body(path: Path, size: int, head: bytes, tail: bytes) -> Iterator[bytes]:
    yield head
    left = size
    with path.open("rb") as stream:
        while left and (chunk := stream.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    if left:
        raise OSError(0, "the file became shorter while it was sent")
    yield tail
