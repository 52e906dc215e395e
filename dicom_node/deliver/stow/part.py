"""The body of a STOW-RS request: one object as a Part 10 file, in one part of a multipart body (PS3.18 8.6.1.2)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info

from dicom_node.deliver.send.association import ObjectBytes

_CHUNK_BYTES: Final = 1024 * 1024
_PREAMBLE: Final = bytes(128) + b"DICM"  # PS3.10 7.1


@dataclass(frozen=True)
class Part:
    """An object as it goes.

    Attributes:
        size: of the Part 10 file, in bytes.
        blocks: its bytes; raises OSError where they cannot be read.
        transfer_syntax_uid: where it is not that of the outbox, "" where it is.
    """

    size: int
    blocks: Callable[[], Iterator[bytes]]
    transfer_syntax_uid: str = ""

    def framed(self) -> tuple[dict[str, str], Iterator[bytes]]:
        """The headers of the request, and its body.

        The transfer syntax stands in the request's Content-Type (PS3.18 8.7.3.5, PS3.2 table N.5-79) and in the file
        meta information, and not in the part's: Orthanc 1.12 steps over a part with a parameter there, and answers 200.
        """
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {self.size}\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        syntax = f"; transfer-syntax={self.transfer_syntax_uid}" if self.transfer_syntax_uid else ""
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"{syntax}; boundary={boundary}',
            "Content-Length": str(len(head) + self.size + len(tail)),  # some servers take no chunked transfer
            "Accept": "application/dicom+json",
        }
        return headers, self._body(head, tail)

    def _body(self, head: bytes, tail: bytes) -> Iterator[bytes]:
        yield head
        yield from self.blocks()
        yield tail


def part_of_file(path: Path) -> Part:
    """A file as it is, streamed.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    return Part(size, lambda: _blocks_of(path, size))


def part_of_bytes(source: ObjectBytes) -> Part:
    """An object that was compressed, behind the file meta information of its file with the new transfer syntax.

    Raises:
        OSError: the file cannot be read.
    """
    meta = read_file_meta_info(source.path)
    meta.TransferSyntaxUID = source.transfer_syntax_uid
    buffer = DicomBytesIO(_PREAMBLE)
    buffer.seek(len(_PREAMBLE))
    write_file_meta_info(buffer, meta, enforce_standard=True)
    whole = bytes(buffer.getvalue()) + (source.encoded or b"")
    return Part(len(whole), lambda: iter((whole,)), source.transfer_syntax_uid)


def _blocks_of(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb") as stream:
        while left and (chunk := stream.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    if left:
        raise OSError(0, "the file became shorter while it was sent")
