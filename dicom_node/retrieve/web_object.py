"""The object in the answer to a WADO-RS request (PS3.18 10.4), read as it comes: first its file meta information, then
its data set into a sink.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Final, Protocol

from python_multipart.exceptions import ParseError
from python_multipart.multipart import MultipartParser

from dicom_node.node.errors import DeliveryError

_META_AT: Final = 132  # PS3.10 7.1: preamble, then "DICM"
_MOST_META_BYTES: Final = 64 * 1024
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010


class Sink(Protocol):
    """Takes a data set."""

    def write(self, fragment: memoryview | bytes) -> None:
        """Append."""


@dataclass(frozen=True)
class Meta:
    """UIDs of the file meta information, "" for one that is missing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def read_object(content_type: str, parts: Iterator[bytes], begin: Callable[[Meta], Sink]) -> None:
    """Read the one object of an answer.

    Args:
        content_type: of the answer: `multipart/related`, or `application/dicom`.
        parts: its body.
        begin: gives the sink of its data set.

    Raises:
        DeliveryError: no such body, several objects, or one that is cut off.
    """
    header = Message()
    header["Content-Type"] = content_type
    file = _Part10(begin)
    if header.get_content_maintype() != "multipart":
        for part in parts:
            file.write(part)
    else:
        _read_multipart(header.get_boundary(""), parts, file)
    if not file.has_begun:
        raise DeliveryError("its answer has no DICOM object")


def _read_multipart(boundary: str, parts: Iterator[bytes], file: _Part10) -> None:
    """RFC 2387, by the parser that also reads the page's uploads."""
    seen, ended = 0, False

    def on_begin() -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise DeliveryError("its answer has several objects, one was asked for")

    def on_end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary.encode("ascii"),
            {
                "on_part_begin": on_begin,
                "on_part_data": lambda data, start, end: file.write(data[start:end]),
                "on_end": on_end,
            },
        )
        for part in parts:
            parser.write(part)
    except (ParseError, UnicodeEncodeError) as error:
        raise DeliveryError("its answer is no multipart body (RFC 2387)") from error
    if not ended:
        raise DeliveryError("its answer was cut off")


class _Part10:
    """A Part 10 file as it comes."""

    def __init__(self, begin: Callable[[Meta], Sink]) -> None:
        self._begin = begin
        self._head = bytearray()
        self._sink: Sink | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its file meta information has come whole."""
        return self._sink is not None

    def write(self, data: bytes) -> None:
        """Append."""
        if self._sink is not None:
            self._sink.write(data)
            return
        self._head += data
        found = _meta_of(self._head)
        if found is not None:
            meta, offset = found
            self._sink = self._begin(meta)
            self._sink.write(bytes(self._head[offset:]))
            self._head.clear()
        elif len(self._head) > _MOST_META_BYTES:
            raise DeliveryError("its answer has no DICOM object: no end of the file meta information")


def _meta_of(head: bytearray) -> tuple[Meta, int] | None:
    """The file meta information and where it ends; None when more of it is needed."""
    if len(head) >= _META_AT and head[128:_META_AT] != b"DICM":
        raise DeliveryError("its answer has no DICOM object: no file of PS3.10")
    found: dict[int, str] = {}
    position = _META_AT
    while len(head) >= position + 12:
        group, element = struct.unpack_from("<HH", head, position)
        if group != 0x0002:
            return Meta(found.get(_CLASS, ""), found.get(_INSTANCE, ""), found.get(_SYNTAX, "")), position
        if bytes(head[position + 4 : position + 6]) in _LONG_VRS:
            start, length = position + 12, struct.unpack_from("<L", head, position + 8)[0]
        else:
            start, length = position + 8, struct.unpack_from("<H", head, position + 6)[0]
        if element in (_CLASS, _INSTANCE, _SYNTAX):
            found[element] = bytes(head[start : start + length]).rstrip(b"\0 ").decode("ascii", "replace")
        position = start + length
    return None
