"""Find what a reader of a data set trips over although nothing is lost without it."""

from __future__ import annotations

from typing import BinaryIO, Final

from dicom_node.node.unknown_vr import LONG_VRS, SHORT_VRS, length_of_unknown

_UNDEFINED: Final = 0xFFFFFFFF
_PIXEL_DATA: Final = (0x7FE0, 0x0010)
_ITEM: Final = (0xFFFE, 0xE000)
_ITEM_END: Final = (0xFFFE, 0xE00D)
_SEQUENCE_END: Final = (0xFFFE, 0xE0DD)
_MOST_DEPTH: Final = 64
_WINDOW_BYTES: Final = 16 * 1024


def parts_to_leave_out(stream: BinaryIO, start: int, size: int, big_endian: bool) -> tuple[tuple[int, int], ...]:
    """Parts of an explicit VR data set, as (begin, end) offsets in ascending order.

    These are elements with a VR that no edition of DICOM has, and everything behind the pixel data when it does not
    parse. A data set that does not parse before that is left to its reader.

    Args:
        stream: the file.
        start: of the data set.
        size: of the file.
        big_endian: the byte order.
    """
    return _Walk(stream, size, big_endian).run(start)


class _Walk:
    """One pass; follows constructs of undefined length and steps over all others whole."""

    def __init__(self, stream: BinaryIO, size: int, big_endian: bool) -> None:
        self._stream = stream
        self._size = size
        self._big_endian = big_endian
        self._window = b""
        self._window_at = 0
        self._found: list[tuple[int, int]] = []
        self._pixels_end: int | None = None
        self._in_pixels = False
        # Open constructs, each True when it holds items, and whether its elements have an explicit VR.
        self._open: list[tuple[bool, bool]] = []

    def run(self, position: int) -> tuple[tuple[int, int], ...]:
        while position < self._size:
            after = self._step(position)
            if after is None or after > self._size:
                break
            position = after
        if self._pixels_end is not None and (position < self._size or self._open):
            self._found = [part for part in self._found if part[1] <= self._pixels_end]
            self._found.append((self._pixels_end, self._size))
        return tuple(self._found)

    def _peek(self, position: int, count: int) -> bytes:
        at = position - self._window_at
        if at < 0 or at + count > len(self._window):
            self._stream.seek(position)
            self._window, self._window_at, at = self._stream.read(_WINDOW_BYTES), position, 0
        return self._window[at : at + count]

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, "big" if self._big_endian else "little")

    def _step(self, position: int) -> int | None:
        """Where the next header is; None where the data set makes no sense."""
        head = self._peek(position, 12)
        if len(head) < 8:
            return None
        tag = self._number(head[:2]), self._number(head[2:4])
        holds_items, explicit = self._open[-1] if self._open else (False, True)
        if holds_items:
            return self._item(position, tag, self._number(head[4:8]))
        if tag[0] == 0xFFFE:
            return self._close(position) if tag == _ITEM_END and self._open else None
        if not explicit:
            return self._value(position + 8, tag, b"", self._number(head[4:8]), explicit)
        return self._explicit(position, tag, head)

    def _explicit(self, position: int, tag: tuple[int, int], head: bytes) -> int | None:
        vr = head[4:6]
        if vr in SHORT_VRS:
            return self._value(position + 8, tag, vr, self._number(head[6:8]), True)
        if vr in LONG_VRS:
            return None if len(head) < 12 else self._value(position + 12, tag, vr, self._number(head[8:12]), True)
        found = length_of_unknown(self._peek, position, self._size, self._big_endian)
        if found is None:
            return None
        self._found.append((position, sum(found)))
        return sum(found)

    def _value(self, start: int, tag: tuple[int, int], vr: bytes, length: int, explicit: bool) -> int | None:
        if length != _UNDEFINED:
            if tag == _PIXEL_DATA and not self._open and start + length <= self._size:
                self._pixels_end = start + length
            return start + length
        if len(self._open) >= _MOST_DEPTH:
            return None
        # UN of undefined length holds Implicit VR Little Endian (PS3.5 6.2.2, note 2).
        self._open.append((True, explicit and vr != b"UN"))
        self._in_pixels = tag == _PIXEL_DATA and len(self._open) == 1
        return start

    def _item(self, position: int, tag: tuple[int, int], length: int) -> int | None:
        if tag == _SEQUENCE_END:
            after = self._close(position)
            if not self._open and self._in_pixels:
                self._pixels_end = after
            return after
        if tag != _ITEM:
            return None
        if length != _UNDEFINED:
            return position + 8 + length
        self._open.append((False, self._open[-1][1]))
        return position + 8

    def _close(self, position: int) -> int:
        self._open.pop()
        return position + 8
