"""The size that a compressed frame claims, read from its first bytes without decoding."""

from __future__ import annotations

import struct

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
# Start of frame markers of JPEG (ITU-T T.81 table B.1: C0 to CF but for DHT, JPG and DAC) and of JPEG-LS (T.87: F7).
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 frame; None when it is none of them.

    PS3.5 A.4.4 wants the bare JPEG 2000 codestream, which begins with SOC and SIZ (ITU-T T.800 A.4, A.5.1).
    """
    if frame[:4] == _J2K_START:
        return _size_of_j2k(frame)
    if frame[:2] == _JPEG_START:
        return _size_of_jpeg(frame)
    return None


def _size_of_j2k(frame: bytes) -> tuple[int, int] | None:
    if len(frame) < 24:
        return None
    width, height, left, top = struct.unpack_from(">4L", frame, 8)
    return height - top, width - left


def _size_of_jpeg(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF or marker in _STANDALONE:  # fill bytes, or a marker without length
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _START_OF_FRAME:
            rows, columns = struct.unpack_from(">2H", frame, at + 5)
            return rows, columns
        (length,) = struct.unpack_from(">H", frame, at + 2)
        at += 2 + length
    return None
