"""Command sets: the few DIMSE messages of storage, verification, query and storage commitment (PS3.7 6.3, 9.3, 10.3).

A command set is flat and always Implicit VR Little Endian (PS3.7 6.3.1): reading one takes a loop of a few lines.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from db.records import Priority
from dicom_node.node.upper_layer.pdu import AbortReason, InvalidPdu

# Command elements, group 0000 (PS3.7 E.1)
_GROUP_LENGTH: Final = 0x0000
_AFFECTED_SOP_CLASS_UID: Final = 0x0002
_REQUESTED_SOP_CLASS_UID: Final = 0x0003
_COMMAND_FIELD: Final = 0x0100
_MOVE_DESTINATION: Final = 0x0600
_MESSAGE_ID: Final = 0x0110
_MESSAGE_ID_RESPONDED_TO: Final = 0x0120
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_COMPLETED: Final = 0x1021
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
_REQUESTED_SOP_INSTANCE_UID: Final = 0x1001
_EVENT_TYPE_ID: Final = 0x1002
_ACTION_TYPE_ID: Final = 0x1008

_NO_DATA_SET: Final = 0x0101  # PS3.7 E.1: any other value says that a data set follows
_DATA_SET: Final = 0x0001
_MEDIUM: Final = 0x0000
_LOW: Final = 0x0002
_PRIORITIES: Final = {0x0001: Priority.HIGH, _LOW: Priority.LOW}  # PS3.7 table E.1-1; whatever else comes is medium
_RESPONSE_BIT: Final = 0x8000
MAX_COMMAND_BYTES: Final = 16 * 1024  # a C-STORE-RQ has about 200

_ELEMENT: Final = struct.Struct("<HHL")


class Command(IntEnum):
    """Command Field values that we know (PS3.7 E.1)."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_ACTION_RQ = 0x0130
    C_CANCEL_RQ = 0x0FFF
    N_EVENT_REPORT_RSP = 0x8100


_TYPE_ID_OF: Final = {Command.N_EVENT_REPORT_RQ: _EVENT_TYPE_ID, Command.N_ACTION_RQ: _ACTION_TYPE_ID}


@dataclass(frozen=True)
class CommandSet:
    """What a message says. UIDs come without padding, and empty when they are missing.

    Attributes:
        message_id: of the request; in a response and in a C-CANCEL-RQ, of the request that it is about. None where one
            of these two names none.
        sop_class_uid, sop_instance_uid: affected or requested ones.
        type_id: Event Type ID or Action Type ID; 0 without one.
        status: of a response; None in a request.
        priority: of a request; medium where the field is missing or unknown.
        completed: of a response to C-MOVE or C-GET: how many instances were sent; 0 where the field is missing.
    """

    command_field: int
    message_id: int | None
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    type_id: int = 0
    status: int | None = None
    priority: Priority = Priority.MEDIUM
    completed: int = 0

    @property
    def is_response(self) -> bool:
        """Whether it answers a request of ours."""
        return bool(self.command_field & _RESPONSE_BIT) and self.command_field != Command.C_CANCEL_RQ


def decode_command(raw: bytes) -> CommandSet:
    """Decode a request, or a response.

    A request must have its ID, or it could not be answered (PS3.7 9.3, 10.3). Nothing is answered to a C-CANCEL-RQ
    (PS3.7 9.3.2.3) or to a response, so what these lack ends no association.

    Raises:
        InvalidPdu: no well-formed command set, or without the fields that every one has. The stream cannot be
            followed after that, so the association is aborted.
    """
    values = _elements(raw)
    command_field = _number(values, _COMMAND_FIELD)
    # A C-CANCEL-RQ has no ID of its own, only that of the request which it is about (PS3.7 table 9.3-4).
    answers = command_field == Command.C_CANCEL_RQ or bool(command_field & _RESPONSE_BIT)
    type_element = next((type_id for field, type_id in _TYPE_ID_OF.items() if field == command_field), None)
    has_type = type_element is not None and type_element in values
    return CommandSet(
        command_field=command_field,
        message_id=_request_named(values) if answers else _number(values, _MESSAGE_ID),
        has_data_set=_number(values, _DATA_SET_TYPE) != _NO_DATA_SET,
        sop_class_uid=_uid(values, _AFFECTED_SOP_CLASS_UID) or _uid(values, _REQUESTED_SOP_CLASS_UID),
        sop_instance_uid=_uid(values, _AFFECTED_SOP_INSTANCE_UID) or _uid(values, _REQUESTED_SOP_INSTANCE_UID),
        type_id=_number(values, type_element) if has_type and type_element is not None else 0,
        status=_number(values, _STATUS) if _STATUS in values else None,
        priority=_priority(values),
        completed=int.from_bytes(values.get(_COMPLETED, b""), "little"),
    )


def _request_named(values: dict[int, bytes]) -> int | None:
    value = values.get(_MESSAGE_ID_RESPONDED_TO, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def _priority(values: dict[int, bytes]) -> Priority:
    """A wish, so a field of another length is no reason to lose an image."""
    return _PRIORITIES.get(int.from_bytes(values.get(_PRIORITY, b""), "little"), Priority.MEDIUM)


def encode_response(request: CommandSet, status: int, comment: str = "") -> bytes:
    """The response to `request` (PS3.7 9.3.1.2, 9.3.5.2, 10.3.1.2, 10.3.4.2), without a data set.

    Args:
        request: what is answered.
        status: DIMSE status.
        comment: Error Comment (LO, at most 64 characters, PS3.7 C.5); no patient data.
    """
    assert request.message_id is not None, "every request has one, see `decode_command`"
    parts = []
    if request.sop_class_uid:
        parts.append(_element(_AFFECTED_SOP_CLASS_UID, _padded_uid(request.sop_class_uid)))
    parts.append(_us(_COMMAND_FIELD, request.command_field | _RESPONSE_BIT))
    parts.append(_us(_MESSAGE_ID_RESPONDED_TO, request.message_id))
    parts.append(_us(_DATA_SET_TYPE, _NO_DATA_SET))
    parts.append(_us(_STATUS, status))
    if comment:
        text = comment[:64].encode("ascii", "replace")
        parts.append(_element(_ERROR_COMMENT, text + b" " * (len(text) % 2)))
    if request.sop_instance_uid:
        parts.append(_element(_AFFECTED_SOP_INSTANCE_UID, _padded_uid(request.sop_instance_uid)))
    type_element = next((type_id for field, type_id in _TYPE_ID_OF.items() if field == request.command_field), None)
    if type_element is not None:
        parts.append(_us(type_element, request.type_id))
    return _grouped(parts)


def encode_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """C-STORE-RQ with medium priority (PS3.7 9.3.1.1)."""
    parts = (
        _element(_AFFECTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.C_STORE_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_PRIORITY, _MEDIUM),
        _us(_DATA_SET_TYPE, _DATA_SET),
        _element(_AFFECTED_SOP_INSTANCE_UID, _padded_uid(sop_instance_uid)),
    )
    return _grouped(parts)


def encode_echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""
    parts = (
        _element(_AFFECTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.C_ECHO_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_DATA_SET_TYPE, _NO_DATA_SET),
    )
    return _grouped(parts)


def encode_find_request(message_id: int, sop_class_uid: str) -> bytes:
    """C-FIND-RQ with medium priority (PS3.7 9.3.2.1)."""
    parts = (
        _element(_AFFECTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.C_FIND_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_PRIORITY, _MEDIUM),
        _us(_DATA_SET_TYPE, _DATA_SET),
    )
    return _grouped(parts)


def encode_move_request(message_id: int, sop_class_uid: str, move_destination: str) -> bytes:
    """C-MOVE-RQ with low priority (PS3.7 9.3.4.1): nothing that is fetched is urgent."""
    title = move_destination.encode("ascii")
    parts = (
        _element(_AFFECTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.C_MOVE_RQ),
        _us(_MESSAGE_ID, message_id),
        _element(_MOVE_DESTINATION, title + b" " * (len(title) % 2)),
        _us(_PRIORITY, _LOW),
        _us(_DATA_SET_TYPE, _DATA_SET),
    )
    return _grouped(parts)


def encode_get_request(message_id: int, sop_class_uid: str) -> bytes:
    """C-GET-RQ with low priority (PS3.7 9.3.3.1): nothing that is fetched is urgent."""
    parts = (
        _element(_AFFECTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.C_GET_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_PRIORITY, _LOW),
        _us(_DATA_SET_TYPE, _DATA_SET),
    )
    return _grouped(parts)


def encode_action_request(message_id: int, sop_class_uid: str, sop_instance_uid: str, action_type_id: int) -> bytes:
    """N-ACTION-RQ with a data set (PS3.7 10.3.4.1)."""
    parts = (
        _element(_REQUESTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.N_ACTION_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_DATA_SET_TYPE, _DATA_SET),
        _element(_REQUESTED_SOP_INSTANCE_UID, _padded_uid(sop_instance_uid)),
        _us(_ACTION_TYPE_ID, action_type_id),
    )
    return _grouped(parts)


def encode_event_report(message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type_id: int) -> bytes:
    """N-EVENT-REPORT-RQ with a data set (PS3.7 10.3.1.1)."""
    parts = (
        _element(_AFFECTED_SOP_CLASS_UID, _padded_uid(sop_class_uid)),
        _us(_COMMAND_FIELD, Command.N_EVENT_REPORT_RQ),
        _us(_MESSAGE_ID, message_id),
        _us(_DATA_SET_TYPE, _DATA_SET),
        _element(_AFFECTED_SOP_INSTANCE_UID, _padded_uid(sop_instance_uid)),
        _us(_EVENT_TYPE_ID, event_type_id),
    )
    return _grouped(parts)


@dataclass(frozen=True)
class Response:
    """What a response says; `status` None in a request, which a peer may send to us as well."""

    message_id: int | None
    status: int | None
    has_data_set: bool


def decode_response(raw: bytes) -> Response:
    """Decode what answers a request of ours.

    Raises:
        InvalidPdu: no well-formed command set.
    """
    values = _elements(raw)
    data_set_type = _number(values, _DATA_SET_TYPE) if _DATA_SET_TYPE in values else _NO_DATA_SET
    status = _number(values, _STATUS) if _STATUS in values else None
    message_id = _number(values, _MESSAGE_ID_RESPONDED_TO) if _MESSAGE_ID_RESPONDED_TO in values else None
    return Response(message_id, status, data_set_type != _NO_DATA_SET)


def _elements(raw: bytes) -> dict[int, bytes]:
    """Values of a command set by element number."""
    values: dict[int, bytes] = {}
    position, end = 0, len(raw)
    while position < end:
        if end - position < _ELEMENT.size:
            raise _invalid(f"{end - position} stray bytes at the end of the command set")
        group, element, length = _ELEMENT.unpack_from(raw, position)
        start = position + _ELEMENT.size
        position = start + length
        if group != 0 or position > end:
            raise _invalid(f"element ({group:04X},{element:04X}) of {length} bytes in a command set of {end}")
        values[element] = raw[start:position]
    return values


def _grouped(parts: Iterable[bytes]) -> bytes:
    body = b"".join(parts)
    return _element(_GROUP_LENGTH, struct.pack("<L", len(body))) + body


def _invalid(message: str) -> InvalidPdu:
    return InvalidPdu(AbortReason.INVALID_PARAMETER, f"command set: {message}")


def _number(values: dict[int, bytes], element: int) -> int:
    value = values.get(element)
    if value is None or len(value) != 2:
        raise _invalid(f"expected (0000,{element:04X}) with 2 bytes, got {'none' if value is None else len(value)}")
    return int.from_bytes(value, "little")


def _uid(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").rstrip(b"\0 ")[:256].decode("ascii", "replace")


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


def _us(element: int, value: int) -> bytes:
    return _ELEMENT.pack(0, element, 2) + value.to_bytes(2, "little")


def _padded_uid(uid: str) -> bytes:
    raw = uid.encode("ascii", "replace")
    return raw + b"\0" * (len(raw) % 2)
