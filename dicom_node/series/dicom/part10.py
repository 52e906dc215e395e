"""Where the data set of a file begins, and how it is encoded (PS3.10 7.1), also where the file says neither.

Old archives hold files without preamble, without file meta information, or without a transfer syntax in it. Older tools
read them, since the first element of a data set shows its encoding. These functions give the file in today's form. And
they leave out what stops a reader for nothing: elements with a VR that no edition has (`dicom_node.node.unknown_vr`),
and bytes behind the pixel data that make no sense.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dicom_node.node.dicom_uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from dicom_node.node.errors import UnreadableObject
from dicom_node.node.unknown_vr import LONG_VRS, SHORT_VRS
from dicom_node.series.dicom.odd_elements import parts_to_leave_out

_PREFIX_AT: Final = 128
_MOST_META_BYTES: Final = 64 * 1024
_TRANSFER_SYNTAX: Final = 0x0010
# A data set without file meta information begins with group 0008, or the old command group's length (ACR-NEMA).
_FIRST_GROUPS: Final = (b"\x08\x00", b"\x00\x08")
_FIRST_ELEMENTS: Final = frozenset({0x0000, 0x0001, 0x0005, 0x0006, 0x0008, 0x0012, 0x0013, 0x0014, 0x0016, 0x0018})


@dataclass(frozen=True)
class Layout:
    """How a file is built.

    Attributes:
        data_set_at: offset of the data set.
        transfer_syntax_uid: as the file says, else as its first element shows.
        is_stated: the file says so.
        has_prefix: preamble and prefix stand before the rest.
    """

    data_set_at: int
    transfer_syntax_uid: str
    is_stated: bool
    has_prefix: bool

    @property
    def has_explicit_vr(self) -> bool:
        """The data set says the VR of each element, and is not deflated."""
        known = TRANSFER_SYNTAXES.get(self.transfer_syntax_uid)
        return known.explicit_vr and not known.deflated if known is not None else False

    @property
    def is_big_endian(self) -> bool:
        """The data set is encoded in Explicit VR Big Endian."""
        return self.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN.uid


def layout_of(stream: BinaryIO) -> Layout:
    """How a file is built; reads its beginning.

    Raises:
        UnreadableObject: `not_dicom`, it does not begin as a DICOM file does.
    """
    stream.seek(0)
    head = stream.read(_MOST_META_BYTES)
    has_prefix = head[_PREFIX_AT : _PREFIX_AT + 4] == b"DICM"
    at = _PREFIX_AT + 4 if has_prefix else 0
    syntax, behind_meta = "", at
    if head[at : at + 2] == b"\x02\x00":
        syntax, behind_meta = _read_meta(head, at)
    elif not has_prefix and not _begins_as_data_set(head):
        raise UnreadableObject(
            "not_dicom",
            "A file is not a readable DICOM object: it has no DICM prefix at byte 128 (PS3.10 7.1) and does not begin "
            "with a data set. If another tool shows it as an image, convert it with dcmconv (DCMTK) first.",
        )
    if syntax:
        return Layout(behind_meta, syntax, is_stated=True, has_prefix=has_prefix)
    shown = _shown_by(head[behind_meta : behind_meta + 8])
    return Layout(behind_meta, shown, is_stated=False, has_prefix=has_prefix)


def open_part10(path: Path) -> BinaryIO:
    """The file, or where it is not as a reader needs it a copy in memory that is.

    Raises:
        UnreadableObject: see `layout_of`.
        OSError: the file cannot be read.
    """
    stream = path.open("rb")
    try:
        layout = layout_of(stream)
        size = stream.seek(0, io.SEEK_END)
        left_out = (
            parts_to_leave_out(stream, layout.data_set_at, size, layout.is_big_endian) if layout.has_explicit_vr else ()
        )
        if layout.is_stated and layout.has_prefix and not left_out:
            stream.seek(0)
            return stream
        with stream:
            return io.BytesIO(_meta(layout.transfer_syntax_uid) + _without(stream, layout.data_set_at, left_out))
    except BaseException:
        stream.close()
        raise


def _read_meta(head: bytes, at: int) -> tuple[str, int]:
    """Transfer syntax ("" when it is missing) and where the group ends; elements in Explicit VR Little Endian."""
    syntax = ""
    while head[at : at + 2] == b"\x02\x00" and at + 12 <= len(head):
        element = int.from_bytes(head[at + 2 : at + 4], "little")
        is_long = head[at + 4 : at + 6] in LONG_VRS
        start = at + (12 if is_long else 8)
        length = int.from_bytes(head[start - (4 if is_long else 2) : start], "little")
        if element == _TRANSFER_SYNTAX:
            syntax = head[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        at = start + length
    return syntax, at


def _begins_as_data_set(head: bytes) -> bool:
    if head[:2] not in _FIRST_GROUPS:
        return False
    return int.from_bytes(head[2:4], "little" if head[0] else "big") in _FIRST_ELEMENTS


def _shown_by(first: bytes) -> str:
    """The encoding that the first element of a data set shows (PS3.5 7.1)."""
    if first[4:6] not in SHORT_VRS | LONG_VRS:
        return IMPLICIT_VR_LITTLE_ENDIAN.uid
    return EXPLICIT_VR_LITTLE_ENDIAN.uid if first[:1] == b"\x08" else EXPLICIT_VR_BIG_ENDIAN.uid


def _meta(transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix, and file meta information that says no more than the transfer syntax."""
    uid = transfer_syntax_uid.encode("ascii")
    uid += b"\0" * (len(uid) % 2)
    element = struct.pack("<HH2sH", 2, _TRANSFER_SYNTAX, b"UI", len(uid)) + uid
    return b"\0" * _PREFIX_AT + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(element)) + element


def _without(stream: BinaryIO, start: int, left_out: tuple[tuple[int, int], ...]) -> bytes:
    stream.seek(start)
    content = stream.read()
    kept, at = [], 0
    for begin, end in left_out:
        kept.append(content[at : begin - start])
        at = end - start
    return b"".join([*kept, content[at:]])
