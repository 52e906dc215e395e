"""Elements whose value representation no edition of DICOM has: how long are they?

Old writers left private elements with two NULs, two blanks, `??` or letters such as `RE` in place of a value
representation (VR). Nothing says how their length is written then. PS3.5 7.1.2 and 7.1.3 leave three forms: two bytes
behind the VR, four bytes behind two reserved ones, or four bytes in place of VR and length. The form after which the
next element makes sense is the right one; where none does, the element cannot be stepped over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

# PS3.5 7.1.2: a length of two bytes stands directly behind these VRs, two reserved bytes and four behind the others.
SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

_KNOWN: Final = SHORT_VRS | LONG_VRS
_DELIMITERS: Final = frozenset({(0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)})
_HEADER_BYTES: Final = 8
# How many unknown elements in a row are looked at before the first counts as understood.
_MOST_AHEAD: Final = 4

_Order = Literal["big", "little"]
Peek = Callable[[int, int], bytes]
"""`peek(position, count)`: up to `count` bytes from `position` on, fewer only at the end of the data set."""


def length_of_unknown(peek: Peek, position: int, end: int, big_endian: bool) -> tuple[int, int] | None:
    """Where the value of an element with an unknown VR begins, and its length in bytes.

    Args:
        peek: reads the data set, explicit VR.
        position: of the element's tag.
        end: size of the data set.
        big_endian: the byte order.

    Returns:
        None when the data behind the element makes sense in none of the three forms.
    """
    return _length(peek, position, end, "big" if big_endian else "little", _MOST_AHEAD)


def _length(peek: Peek, position: int, end: int, order: _Order, ahead: int) -> tuple[int, int] | None:
    head = peek(position, 12)
    if len(head) < _HEADER_BYTES:
        return None
    forms = [(position + 8, int.from_bytes(head[6:8], order))]
    if head[6:8] == b"\0\0" and len(head) == 12:
        forms.insert(0, (position + 12, int.from_bytes(head[8:12], order)))
    forms.append((position + 8, int.from_bytes(head[4:8], order)))
    tag = _tag(head, order)
    return next((form for form in forms if _makes_sense(peek, sum(form), tag, end, order, ahead)), None)


def _makes_sense(peek: Peek, position: int, before: tuple[int, int], end: int, order: _Order, ahead: int) -> bool:
    """An element may begin here that follows `before`; or the data set, item or sequence ends."""
    if position >= end:
        return position == end
    head = peek(position, _HEADER_BYTES)
    if len(head) < _HEADER_BYTES:
        return False
    tag = _tag(head, order)
    if tag in _DELIMITERS:
        return head[4:8] == b"\0\0\0\0"
    if tag <= before or tag[0] == 0xFFFE:  # elements come in ascending order (PS3.5 7.1)
        return False
    if head[4:6] in _KNOWN or not tag[0] % 2:
        return head[4:6] in _KNOWN
    return ahead == 0 or _length(peek, position, end, order, ahead - 1) is not None


def _tag(head: bytes, order: _Order) -> tuple[int, int]:
    return int.from_bytes(head[0:2], order), int.from_bytes(head[2:4], order)
