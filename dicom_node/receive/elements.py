"""Walk over the data elements of a data set without reading their values (PS3.5 section 7).

Answers three questions before an object is acknowledged: do the lengths fit together to the last byte, which object is
it, and is the pixel data whole. Iterative, so that no nesting can exhaust the stack, and with one small window of the
file in memory.

Elements, sequences and items of defined length are stepped over whole; those of undefined length must be followed to
their delimiters. So the content of a defined-length sequence is not looked at here: its extent is certain, and the
reader of the object checks the rest.

Real objects are not all to the letter, and what every reader takes is taken here: bytes behind whole pixel data are
padding, whatever they are, an element with a VR that no edition has is stepped over where its length is clear, and so
is an item or the end of a sequence where no sequence is open.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from dicom_node.node.dicom_uids import TransferSyntax
from dicom_node.node.unknown_vr import LONG_VRS, SHORT_VRS, length_of_unknown
from dicom_node.receive.statuses import Refusal, Status

# Deeper than any real object by far. Readers that recurse give up at about this depth.
MAX_DEPTH: Final = 64
# An Enhanced MR of 3000 frames has some 400 000. Each one costs us time and the object's reader memory, and costs
# its sender 8 bytes, or next to nothing when the data set is deflated.
MAX_HEADERS: Final = 1_000_000
_WINDOW_BYTES: Final = 16 * 1024
# An element with an unknown VR is looked at in up to three forms, each with some elements behind it.
_COST_OF_UNKNOWN: Final = 50
_UNDEFINED: Final = 0xFFFFFFFF

_ITEM: Final = 0xFFFEE000
_ITEM_DELIMITER: Final = 0xFFFEE00D
_SEQUENCE_DELIMITER: Final = 0xFFFEE0DD

_LONGEST_HEADER: Final = 12

_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_STUDY_INSTANCE_UID: Final = 0x0020000D
_SERIES_INSTANCE_UID: Final = 0x0020000E
_SAMPLES_PER_PIXEL: Final = 0x00280002
_NUMBER_OF_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_BITS_ALLOCATED: Final = 0x00280100
_PIXEL_DATA: Final = 0x7FE00010

_WANTED: Final = frozenset(
    (
        _SOP_CLASS_UID,
        _SOP_INSTANCE_UID,
        _STUDY_INSTANCE_UID,
        _SERIES_INSTANCE_UID,
        _SAMPLES_PER_PIXEL,
        _NUMBER_OF_FRAMES,
        _ROWS,
        _COLUMNS,
        _BITS_ALLOCATED,
    )
)
_MAX_WANTED_BYTES: Final = 64  # the longest UID (PS3.5 6.2)

# What a construct of undefined length may hold
_SEQUENCE: Final = 0  # items
_ITEM_CONTENT: Final = 1  # elements
_FRAGMENTS: Final = 2  # items of defined length (PS3.5 A.4)

_GROUPS_WITH_WANTED: Final = frozenset(tag >> 16 for tag in (*_WANTED, _PIXEL_DATA))

ReadAt = Callable[[int, int], bytes]
"""`read_at(size, offset)`: `size` bytes from `offset` on, fewer only at the end; like `os.pread` on a descriptor."""


@dataclass(frozen=True)
class DataSetSummary:
    """Which object a data set is. UIDs come without padding, and empty when they are missing.

    `pixel_bytes` is the length of the pixel data, None without pixel data or when it is encapsulated;
    `expected_pixel_bytes` is what rows, columns, frames and bits ask for, None when they do not say.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    has_pixel_data: bool
    pixel_bytes: int | None
    expected_pixel_bytes: int | None


def summarize(read_at: ReadAt, size: int, syntax: TransferSyntax) -> DataSetSummary:
    """Walk over a data set of `size` bytes that is not deflated (`inflate` first).

    Raises:
        Refusal: 0xC000 when the structure does not hold; the reason names the element and the offset.
    """
    return _Walk(read_at, size, syntax).run()


class _Walk:
    """One pass; the attributes are its state."""

    def __init__(self, read_at: ReadAt, size: int, syntax: TransferSyntax) -> None:
        self._read_at = read_at
        self._size = size
        self._syntax = syntax
        self._big = syntax.big_endian
        self._explicit = syntax.explicit_vr
        self._buffer = b""
        self._base = 0
        self._values: dict[int, bytes] = {}
        self._pixel_bytes: int | None = None
        self._has_pixel_data = False
        self._has_whole_pixels = False
        self._headers_left = MAX_HEADERS
        # Open constructs of undefined length, and the encoding outside of them.
        self._open: list[tuple[int, bool, bool]] = []

    def run(self) -> DataSetSummary:
        try:
            self._walk()
        except Refusal as refusal:
            if not self._has_whole_pixels or self._headers_left < 0:
                refusal.series_instance_uid = self._uid(_SERIES_INSTANCE_UID)
                raise
            self._open.clear()
        return self._summary()

    def _walk(self) -> None:
        position = 0
        size = self._size
        while position < size:
            self._spend(1, position)
            kind = self._open[-1][0] if self._open else _ITEM_CONTENT
            position = self._elements(position) if kind == _ITEM_CONTENT else self._item(position, kind)
        if self._open:
            raise _malformed(f"the data set ends after {size} bytes inside a sequence or item that is not closed")

    def _elements(self, position: int) -> int:
        """Step over plain elements as fast as Python can; whatever is not plain is left to `_element`.

        An object has hundreds of elements, so this loop is most of the cost of the walk.
        """
        size, explicit, on_top = self._size, self._explicit, not self._open
        unpack = (_BIG_EXPLICIT if self._big else _LITTLE_EXPLICIT) if explicit else _LITTLE_IMPLICIT
        unpack_length = _BIG_LENGTH if self._big else _LITTLE_LENGTH
        vr = b""
        count = 0
        while size - position >= _LONGEST_HEADER:
            self._spend(count, position)
            count = 0
            index = self._header(position, _LONGEST_HEADER)
            buffer, limit = self._buffer, len(self._buffer) - _LONGEST_HEADER
            while index <= limit:
                if explicit:
                    group, _number, vr, length = unpack(buffer, index)
                    if vr in SHORT_VRS:
                        start = position + 8
                    elif vr in LONG_VRS:
                        length = unpack_length(buffer, index + 8)[0]
                        start = position + 12
                    else:
                        self._spend(count, position)
                        return self._element(position)
                else:
                    group, _number, length = unpack(buffer, index)
                    start = position + 8
                end = start + length
                if group == 0xFFFE or length == _UNDEFINED or end > size:
                    self._spend(count, position)
                    return self._element(position)
                count += 1
                if on_top and group in _GROUPS_WITH_WANTED:
                    self._element(position)  # keeps the value
                    if self._buffer is not buffer:
                        position = end
                        break
                index += end - position
                position = end
        self._spend(count, position)
        return self._element(position) if position < size else position

    def _spend(self, headers: int, position: int) -> None:
        self._headers_left -= headers
        if self._headers_left < 0:
            raise _malformed(
                f"more than {MAX_HEADERS} elements and items up to offset {position}: no image has that many"
            )

    def _header(self, position: int, count: int) -> int:
        """Make sure that `count` bytes at `position` are in the buffer; gives their index there."""
        index = position - self._base
        if index >= 0 and index + count <= len(self._buffer):
            return index
        if position + count > self._size:
            raise _malformed(f"the data set is cut off: {self._size - position} bytes left at offset {position}")
        self._buffer = self._read_at(min(_WINDOW_BYTES, self._size - position), position)
        self._base = position
        if len(self._buffer) < count:
            raise _malformed(f"the data set is cut off at offset {position}")
        return 0

    def _element(self, position: int) -> int:
        """Read one element header at `position`; gives where the next header is."""
        index = self._header(position, 8)
        buffer = self._buffer
        group, number = (_BIG_TAG if self._big else _LITTLE_TAG)(buffer, index)
        tag = group << 16 | number
        if group == 0xFFFE:
            return self._close_item(position, tag)
        vr = b""
        length: int
        if not self._explicit:
            length = _LITTLE_LENGTH(buffer, index + 4)[0]
            start = position + 8
        else:
            vr = buffer[index + 4 : index + 6]
            start, length = self._explicit_length(position, group, number, vr)
        if length == _UNDEFINED:
            self._enter(position, tag, vr)
            return start
        end = start + length
        if end > self._size:
            where = f"({group:04X},{number:04X}) at offset {position}"
            raise _malformed(f"{where} announces {length} bytes, {self._size - start} are left")
        if not self._open:
            if tag in _WANTED and not self._has_pixel_data:  # behind the pixels they are none of the object's own
                self._keep(tag, start, length)
            elif tag == _PIXEL_DATA and not self._has_pixel_data:
                self._has_pixel_data = length > 0
                self._pixel_bytes = length
                wanted = self._expected_pixel_bytes()
                self._has_whole_pixels = self._has_pixel_data and (wanted is None or length >= wanted)
        return end

    def _explicit_length(self, position: int, group: int, number: int, vr: bytes) -> tuple[int, int]:
        """Where the value begins, and its length; one of four bytes may be the undefined one."""
        if vr in SHORT_VRS:
            index = self._header(position, 8)
            return position + 8, (_BIG_SHORT if self._big else _LITTLE_SHORT)(self._buffer, index + 6)[0]
        is_word = vr.isalpha() and vr.isupper()
        if vr not in LONG_VRS:
            self._spend(_COST_OF_UNKNOWN, position)
            if (found := length_of_unknown(self._peek, position, self._size, self._big)) is not None:
                return found
        if not is_word:
            raise _malformed(
                f"({group:04X},{number:04X}) at offset {position} has the value representation {vr.hex()} "
                "(hexadecimal), which no edition of DICOM has, and its length is not clear"
            )
        index = self._header(position, 12)
        return position + 12, (_BIG_LENGTH if self._big else _LITTLE_LENGTH)(self._buffer, index + 8)[0]

    def _peek(self, position: int, count: int) -> bytes:
        count = max(0, min(count, self._size - position))
        index = position - self._base
        if index >= 0 and index + count <= len(self._buffer):
            return self._buffer[index : index + count]
        return self._read_at(count, position) if count else b""

    def _enter(self, position: int, tag: int, vr: bytes) -> None:
        """Open an element of undefined length (PS3.5 7.1.1, 7.5 and A.4)."""
        if tag == _PIXEL_DATA and vr in (b"OB", b"OW"):
            if not self._syntax.encapsulated:
                raise _malformed(f"pixel data of undefined length in {self._syntax.name}")
            if not self._open:
                self._has_pixel_data = True
            self._push(_FRAGMENTS, position)
        elif vr in (b"SQ", b""):
            self._push(_SEQUENCE, position)
        elif vr == b"UN":
            self._push(_SEQUENCE, position)
            if not self._is_explicit_inside(position):
                self._explicit, self._big = False, False  # Implicit VR Little Endian (PS3.5 6.2.2, note 2)
        else:
            raise _malformed(f"undefined length at offset {position} for {vr.decode('ascii', 'replace')}")

    def _is_explicit_inside(self, position: int) -> bool:
        """A sequence whose VR was lost on the way, and its content was not converted, as some archives leave it.

        Where a length of Implicit VR would stand, its first element has a VR and a length of two bytes.
        """
        first = self._peek(position + _LONGEST_HEADER + 8, 8)  # behind the header of the first item
        return first[4:6] in SHORT_VRS and first[6:8] != b"\0\0"

    def _push(self, kind: int, position: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _malformed(f"sequences nested deeper than {MAX_DEPTH} at offset {position}")
        self._open.append((kind, self._explicit, self._big))

    def _pop(self) -> None:
        _kind, self._explicit, self._big = self._open.pop()

    def _close_item(self, position: int, tag: int) -> int:
        """Of what begins like an item, only the delimiter of an open one belongs among elements.

        Outside all sequences readers step over the other kinds, which an editor left that took a sequence out; there a
        delimiter of an item ends the data set for them, so that it is refused.
        """
        if self._open and tag == _ITEM_DELIMITER:
            self._pop()
            return position + 8
        index = self._header(position, 8)
        length: int = (_BIG_LENGTH if self._big else _LITTLE_LENGTH)(self._buffer, index + 4)[0]
        end = position + 8 + length
        if self._open or tag not in (_ITEM, _SEQUENCE_DELIMITER) or length == _UNDEFINED or end > self._size:
            raise _malformed(f"item or delimiter {tag:08X} at offset {position} outside a sequence")
        return end

    def _item(self, position: int, kind: int) -> int:
        """Read one item header, or the delimiter that ends a sequence or the fragments."""
        index = self._header(position, 8)
        group, number = (_BIG_TAG if self._big else _LITTLE_TAG)(self._buffer, index)
        length: int = (_BIG_LENGTH if self._big else _LITTLE_LENGTH)(self._buffer, index + 4)[0]
        tag = group << 16 | number
        if tag == _SEQUENCE_DELIMITER:
            self._pop()
            self._has_whole_pixels |= kind == _FRAGMENTS and not self._open
            return position + 8
        if tag != _ITEM:
            raise _malformed(f"expected an item at offset {position}, got ({group:04X},{number:04X})")
        if length == _UNDEFINED:
            if kind == _FRAGMENTS:
                raise _malformed(f"pixel data fragment of undefined length at offset {position}")
            self._push(_ITEM_CONTENT, position)
            return position + 8
        end = position + 8 + length
        if end > self._size:
            raise _malformed(
                f"item at offset {position} announces {length} bytes, {self._size - position - 8} are left"
            )
        return end

    def _keep(self, tag: int, start: int, length: int) -> None:
        if length > _MAX_WANTED_BYTES:
            raise _malformed(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has {length} bytes, expected at most 64")
        index = self._header(start, length) if length else 0
        self._values[tag] = self._buffer[index : index + length]

    def _summary(self) -> DataSetSummary:
        return DataSetSummary(
            sop_class_uid=self._uid(_SOP_CLASS_UID),
            sop_instance_uid=self._uid(_SOP_INSTANCE_UID),
            study_instance_uid=self._uid(_STUDY_INSTANCE_UID),
            series_instance_uid=self._uid(_SERIES_INSTANCE_UID),
            has_pixel_data=self._has_pixel_data,
            pixel_bytes=self._pixel_bytes,
            expected_pixel_bytes=self._expected_pixel_bytes(),
        )

    def _uid(self, tag: int) -> str:
        return self._values.get(tag, b"").rstrip(b"\0 ").decode("ascii", "replace")

    def _us(self, tag: int) -> int:
        value = self._values.get(tag, b"")
        return int.from_bytes(value[:2], "big" if self._syntax.big_endian else "little") if len(value) >= 2 else 0

    def _expected_pixel_bytes(self) -> int | None:
        """PS3.5 8.1.1, for one sample per pixel; colour may be subsampled and is left alone."""
        rows, columns, bits = self._us(_ROWS), self._us(_COLUMNS), self._us(_BITS_ALLOCATED)
        if not (rows and columns and bits) or self._us(_SAMPLES_PER_PIXEL) != 1:
            return None
        text = self._values.get(_NUMBER_OF_FRAMES, b"").strip(b"\0 ")
        frames = int(text) if text.isdigit() else 1
        return (rows * columns * frames * bits + 7) // 8


_LITTLE_EXPLICIT: Final = struct.Struct("<HH2sH").unpack_from
_BIG_EXPLICIT: Final = struct.Struct(">HH2sH").unpack_from
_LITTLE_IMPLICIT: Final = struct.Struct("<HHL").unpack_from
_LITTLE_TAG: Final = struct.Struct("<HH").unpack_from
_BIG_TAG: Final = struct.Struct(">HH").unpack_from
_LITTLE_SHORT: Final = struct.Struct("<H").unpack_from
_BIG_SHORT: Final = struct.Struct(">H").unpack_from
_LITTLE_LENGTH: Final = struct.Struct("<L").unpack_from
_BIG_LENGTH: Final = struct.Struct(">L").unpack_from


def _malformed(reason: str) -> Refusal:
    return Refusal(Status.CANNOT_UNDERSTAND, reason)


class Writable(Protocol):
    """Takes bytes; may raise Refusal when there is no room for them."""

    def write(self, data: bytes, /) -> object:
        """Append them all."""


def inflate(read_at: ReadAt, size: int, target: Writable) -> int:
    """Write the inflated form of a deflated data set (PS3.5 A.5, RFC 1951) to `target`; gives its length.

    Raises:
        Refusal: 0xC000 when the stream is damaged or cut off, or grows as no image does; and what `target`
            raises.
    """
    plausible = min(MAX_INFLATED_BYTES, max(_SMALL_BYTES, size * _MAX_RATIO))
    written = 0
    for plain in _inflated(read_at, size):
        written += len(plain)
        if written > plausible:
            raise _malformed(
                f"the data set of {size} bytes inflates to more than {plausible} bytes, more than any image"
            )
        target.write(plain)
    return written


def _inflated(read_at: ReadAt, size: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for offset in range(0, size, _INFLATE_CHUNK):
            pending = read_at(min(_INFLATE_CHUNK, size - offset), offset)
            while pending and not inflater.eof:
                yield inflater.decompress(pending, _INFLATE_CHUNK)
                pending = inflater.unconsumed_tail
        # What the inflater still holds after its last input
        while not inflater.eof and (plain := inflater.decompress(b"", _INFLATE_CHUNK)):
            yield plain
    except zlib.error:
        raise _malformed("the deflated data set is damaged") from None
    if not inflater.eof:
        raise _malformed("the deflated data set is cut off")


_INFLATE_CHUNK: Final = 256 * 1024

# The reader of the object holds it inflated in memory. 300 slices of 512 x 512 have 157 MB.
MAX_INFLATED_BYTES: Final = 256 * 1024 * 1024
# DEFLATE shrinks by 1032 at most, images by 2 to 20, also those with much black around.
_MAX_RATIO: Final = 100
_SMALL_BYTES: Final = 16 * 1024 * 1024
