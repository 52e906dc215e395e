"""Protocol data units (PS3.8 9.3): kinds, limits that hold before anything is buffered, the short ones that we send.

The A-ASSOCIATE-RQ and -AC are in `associate`. pynetdicom's PDU classes do the same and are the oracle of our tests;
they bring pydicom and NumPy into the process, which is most of its memory budget.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from dicom_node.node.errors import ReceivingError

HEADER_BYTES: Final = 6  # type, reserved, length in four bytes (PS3.8 9.3.1)
_HEADER: Final = struct.Struct(">BxL")
_TLS_HANDSHAKE: Final = 0x16  # first byte of a TLS connection (RFC 8446 5.1)


class PduType(IntEnum):
    """PS3.8 9.3.2 to 9.3.8."""

    A_ASSOCIATE_RQ = 0x01
    A_ASSOCIATE_AC = 0x02
    A_ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


# 128 presentation contexts with 40 transfer syntaxes each come to about 170 kB; nothing real is larger.
MAX_ASSOCIATE_BYTES: Final = 256 * 1024
_FIXED_BYTES: Final = 4  # A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP, A-ABORT (PS3.8 tables 9-21, 9-24, 9-25, 9-26)


class AbortReason(IntEnum):
    """Reason of an A-ABORT whose source is the service-provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class InvalidPdu(ReceivingError):
    """What came is not a PDU that PS3.8 allows, or is larger than what was negotiated."""

    def __init__(self, reason: AbortReason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True)
class Rejection:
    """The three fields of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int
    meaning: str


# PS3.8 table 9-21. Result 1 is permanent, 2 transient; source 1 the service-user, 2 the ACSE, 3 the presentation layer.
CALLED_AE_NOT_RECOGNIZED: Final = Rejection(1, 1, 7, "called AE title not recognized")
CALLING_AE_NOT_RECOGNIZED: Final = Rejection(1, 1, 3, "calling AE title not recognized")
APPLICATION_CONTEXT_NOT_SUPPORTED: Final = Rejection(1, 1, 2, "application context name not supported")
PROTOCOL_VERSION_NOT_SUPPORTED: Final = Rejection(1, 2, 2, "protocol version not supported")
TEMPORARY_CONGESTION: Final = Rejection(2, 3, 1, "temporary congestion")
LOCAL_LIMIT_EXCEEDED: Final = Rejection(2, 3, 2, "local limit exceeded")


# PS3.8 table 9-21, by (source, reason); what stands there as reserved too.
_REJECTION_WORDS: Final = {
    (1, 1): "No reason given",
    (1, 2): "Application context name not supported",
    (1, 3): "Calling AE title not recognised",
    (1, 7): "Called AE title not recognised",
    (2, 1): "No reason given",
    (2, 2): "Protocol version not supported",
    (3, 1): "Temporary congestion",
    (3, 2): "Local limit exceeded",
}


def rejection_words(body: bytes | memoryview) -> str:
    """Why a peer rejects, from the body of its A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    if len(body) < _FIXED_BYTES:
        return "(no value available)"
    return _REJECTION_WORDS.get((body[2], body[3]), "(no value available)")


def check_header(header: bytes | bytearray | memoryview, max_data_bytes: int) -> tuple[PduType, int]:
    """Kind and length of the PDU whose six header bytes these are; nothing of its body has been read yet.

    Args:
        header: at least six bytes.
        max_data_bytes: largest P-DATA-TF body that we announced (PS3.8 D.1.1).

    Raises:
        InvalidPdu: unknown type, or a length that this type cannot have here.
    """
    number, length = _HEADER.unpack_from(header)
    if number == _TLS_HANDSHAKE:
        message = "a TLS handshake on the port without TLS: send to dicom_tls_port, or turn TLS off at the sender"
        raise InvalidPdu(AbortReason.UNRECOGNIZED_PDU, message)
    try:
        kind = PduType(number)
    except ValueError:
        raise InvalidPdu(AbortReason.UNRECOGNIZED_PDU, f"expected a PDU type 1 to 7, got {number:#04x}") from None
    if kind is PduType.P_DATA_TF:
        allowed = max_data_bytes
    elif kind in (PduType.A_ASSOCIATE_RQ, PduType.A_ASSOCIATE_AC):
        allowed = MAX_ASSOCIATE_BYTES
    else:
        allowed = _FIXED_BYTES
    if length > allowed:
        message = f"expected a {kind.name} of at most {allowed} bytes, got {length}"
        raise InvalidPdu(AbortReason.INVALID_PARAMETER, message)
    return kind, length


def encode_header(kind: PduType, length: int) -> bytes:
    """The six bytes before a PDU's body of `length` bytes."""
    return _HEADER.pack(kind, length)


def encode_rejection(rejection: Rejection) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return struct.pack(">BxLxBBB", PduType.A_ASSOCIATE_RJ, 4, rejection.result, rejection.source, rejection.reason)


def encode_release_request() -> bytes:
    """A-RELEASE-RQ (PS3.8 table 9-24)."""
    return struct.pack(">BxL4x", PduType.A_RELEASE_RQ, 4)


def encode_release_response() -> bytes:
    """A-RELEASE-RP (PS3.8 table 9-25)."""
    return struct.pack(">BxL4x", PduType.A_RELEASE_RP, 4)


def encode_abort(source: int, reason: int) -> bytes:
    """A-ABORT (PS3.8 table 9-26): source 0 is the service-user (reason 0), 2 the service-provider."""
    return struct.pack(">BxLxxBB", PduType.A_ABORT, 4, source, reason)


PDV_HEADER_BYTES: Final = 6  # length in four bytes, presentation context ID, message control header (PS3.8 9.3.5.1)
_PDV_HEADER: Final = struct.Struct(">LBB")
_DATA_HEADER: Final = struct.Struct(">BxLLBB")  # of a PDU and of the one value in it
LAST_FRAGMENT: Final = 0x02  # message control header, PS3.8 annex E.2
COMMAND_FRAGMENT: Final = 0x01


def split_pdvs(body: memoryview) -> list[tuple[int, int, memoryview]]:
    """The presentation data values of a P-DATA-TF body (PS3.8 9.3.5): (context ID, control header, fragment).

    Raises:
        InvalidPdu: the lengths of the items do not add up to the body, or the body holds no item.
    """
    values = []
    position, end = 0, len(body)
    while position < end:
        if end - position < PDV_HEADER_BYTES:
            raise InvalidPdu(AbortReason.INVALID_PARAMETER, f"P-DATA-TF ends in {end - position} stray bytes")
        length, context_id, control = _PDV_HEADER.unpack_from(body, position)
        stop = position + 4 + length
        if length < 2 or stop > end:
            message = f"expected a presentation data value of 2 to {end - position - 4} bytes, got {length}"
            raise InvalidPdu(AbortReason.INVALID_PARAMETER, message)
        values.append((context_id, control, body[position + PDV_HEADER_BYTES : stop]))
        position = stop
    if not values:
        raise InvalidPdu(AbortReason.INVALID_PARAMETER, "P-DATA-TF holds no presentation data value")
    return values


def encode_command(context_id: int, command: bytes, peer_max_bytes: int) -> bytes:
    """P-DATA-TF PDUs of one command set (PS3.8 9.3.5), each body at most `peer_max_bytes` long (0: no limit)."""
    room = len(command) if peer_max_bytes == 0 else max(peer_max_bytes - PDV_HEADER_BYTES, 1)
    parts = []
    for start in range(0, len(command), room):
        fragment = command[start : start + room]
        last = LAST_FRAGMENT if start + room >= len(command) else 0
        parts.append(encode_header(PduType.P_DATA_TF, len(fragment) + PDV_HEADER_BYTES))
        parts.append(_PDV_HEADER.pack(len(fragment) + 2, context_id, COMMAND_FRAGMENT | last))
        parts.append(fragment)
    return b"".join(parts)


def data_pdus(context_id: int, data: memoryview, room: int, last: bool) -> list[bytes | memoryview]:
    """P-DATA-TF PDUs of a part of a data set (PS3.8 9.3.5), as buffers to send one after the other: headers, and views
    of `data`, which is not copied.

    Args:
        context_id: the presentation context.
        data: the part.
        room: data set bytes a PDU, even.
        last: whether the data set ends with this part.
    """
    parts: list[bytes | memoryview] = []
    size = len(data)
    for start in range(0, max(size, 1), room):
        fragment = data[start : start + room]
        control = LAST_FRAGMENT if last and start + room >= size else 0
        length = len(fragment)
        parts.append(_DATA_HEADER.pack(PduType.P_DATA_TF, length + PDV_HEADER_BYTES, length + 2, context_id, control))
        parts.append(fragment)
    return parts
