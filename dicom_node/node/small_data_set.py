"""Small data sets, read and written without pydicom: those of storage commitment and of queries.

The receiver must stay small. Only little endian, with explicit or implicit VR (PS3.5 7.1); pydicom is the oracle of the
tests. What a peer sends is bounded by depth and by count before it is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "bytes | list[Elements]"
Elements: TypeAlias = "dict[int, Value]"
"""By tag; bytes as they stand, or the items of a sequence."""

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_DELIMITER: Final = 0xFFFEE00D
_SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_MAX_DEPTH: Final = 6
_MAX_ELEMENTS: Final = 400_000
_HEADER: Final = struct.Struct("<HHL")

REFERENCED_SOP_SEQUENCE: Final = 0x00081199
FAILED_SOP_SEQUENCE: Final = 0x00081198
# With implicit VR only a table says what a sequence of defined length is.
_SEQUENCES: Final = frozenset({REFERENCED_SOP_SEQUENCE, FAILED_SOP_SEQUENCE, 0x00081111, 0x00081115, 0x00081140})


class MalformedDataSet(ValueError):
    """Bytes that are no data set of this kind."""


def decode(data: bytes, *, explicit_vr: bool) -> Elements:
    """Read a data set.

    Raises:
        MalformedDataSet: lengths that do not fit, too deep, or too many elements.
    """
    reader = _Reader(data, explicit_vr)
    elements, _position = reader.elements(0, len(data), 0)
    return elements


def text_of(elements: Elements, tag: int) -> str:
    """A value as text without padding; "" when it is missing."""
    value = elements.get(tag, b"")
    return value.rstrip(b"\0 ").decode("ascii", "replace") if isinstance(value, bytes) else ""


def number_of(elements: Elements, tag: int) -> int | None:
    """An unsigned number of two bytes; None when it is missing."""
    value = elements.get(tag)
    return int.from_bytes(value[:2], "little") if isinstance(value, bytes) and len(value) >= 2 else None


def items_of(elements: Elements, tag: int) -> list[Elements]:
    """The items of a sequence; none when it is missing."""
    value = elements.get(tag, [])
    return value if isinstance(value, list) else []


def encode(elements: Mapping[int, str | int | Sequence[Mapping[int, str | int]]]) -> bytes:
    """Implicit VR Little Endian (PS3.5 A.1): text, unsigned numbers of two bytes, and sequences of such items."""
    return b"".join(_element(tag, elements[tag]) for tag in sorted(elements))


_VRS: Final = {0x00081197: b"US"}  # of what `encode` writes; the other values are UIDs


def to_explicit(data: bytes) -> bytes:
    """The same data set in Explicit VR Little Endian (PS3.5 A.2): UIDs, unsigned numbers of two bytes, sequences."""
    return _explicit(decode(data, explicit_vr=False))


def _explicit(elements: Elements) -> bytes:
    parts = []
    for tag, value in elements.items():
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if isinstance(value, list):
            raw = b"".join(_tagged(_ITEM, _explicit(item)) for item in value)
            parts.append(head + b"SQ\0\0" + struct.pack("<L", len(raw)) + raw)
        else:
            parts.append(head + _VRS.get(tag, b"UI") + struct.pack("<H", len(value)) + value)
    return b"".join(parts)


def _element(tag: int, value: str | int | Sequence[Mapping[int, str | int]]) -> bytes:
    if isinstance(value, int):
        raw = value.to_bytes(2, "little")
    elif isinstance(value, str):
        raw = value.encode("ascii")
        raw += (b"\0" if _is_uid(value) else b" ") * (len(raw) % 2)
    else:
        raw = b"".join(_tagged(_ITEM, encode(item)) for item in value)
    return _tagged(tag, raw)


def _is_uid(value: str) -> bool:
    return value.replace(".", "").replace("\\", "").isdigit()  # one, or several (PS3.5 6.4)


def _tagged(tag: int, raw: bytes) -> bytes:
    return _HEADER.pack(tag >> 16, tag & 0xFFFF, len(raw)) + raw


class _Reader:
    """One pass over the bytes."""

    def __init__(self, data: bytes, explicit_vr: bool) -> None:
        self._data = data
        self._explicit = explicit_vr
        self._left = _MAX_ELEMENTS

    def elements(self, position: int, end: int, depth: int) -> tuple[Elements, int]:
        """Elements up to `end`, or to the delimiter of an item of undefined length; and where they ended."""
        found: Elements = {}
        while position < end:
            tag = self._tag(position, end)
            if tag == _ITEM_DELIMITER:
                return found, position + 8
            is_sequence, start, length = self._header(position, end, tag)
            if is_sequence:
                found[tag], position = self._items(start, end if length == _UNDEFINED else start + length, depth + 1)
            else:
                found[tag], position = self._data[start : start + length], start + length
        return found, position

    def _items(self, position: int, end: int, depth: int) -> tuple[list[Elements], int]:
        if depth > _MAX_DEPTH:
            raise MalformedDataSet("sequences are nested too deeply")
        items: list[Elements] = []
        while position < end:
            tag = self._tag(position, end)
            length = int.from_bytes(self._data[position + 4 : position + 8], "little")
            position += 8
            if tag == _SEQUENCE_DELIMITER:
                return items, position
            if tag != _ITEM or (length != _UNDEFINED and position + length > end):
                raise MalformedDataSet(f"expected an item at offset {position - 8}")
            stop = end if length == _UNDEFINED else position + length
            item, position = self.elements(position, stop, depth)
            items.append(item)
        return items, position

    def _tag(self, position: int, end: int) -> int:
        self._left -= 1
        if self._left < 0 or end - position < 8 or end > len(self._data):
            raise MalformedDataSet(f"the data set is cut off at offset {position}, or has too many elements")
        group, number = struct.unpack_from("<HH", self._data, position)
        return int(group << 16 | number)

    def _header(self, position: int, end: int, tag: int) -> tuple[bool, int, int]:
        """Whether it is a sequence, where the value begins, and its length."""
        vr = self._data[position + 4 : position + 6] if self._explicit else b""
        if not self._explicit:
            start, length = position + 8, int.from_bytes(self._data[position + 4 : position + 8], "little")
        elif vr in _LONG_VRS:
            start, length = position + 12, int.from_bytes(self._data[position + 8 : position + 12], "little")
        else:
            start, length = position + 8, int.from_bytes(self._data[position + 6 : position + 8], "little")
        is_sequence = vr == b"SQ" or length == _UNDEFINED or (not self._explicit and tag in _SEQUENCES)
        if start > end or (length != _UNDEFINED and start + length > end):
            raise MalformedDataSet(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at offset {position} is cut off")
        return is_sequence, start, length
