"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC, from either side (PS3.8 9.3.2 and 9.3.3, PS3.7 annex D.3.3)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.node.dicom_uids import APPLICATION_CONTEXT, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.node.upper_layer.pdu import AbortReason, InvalidPdu, PduType, encode_header

# Item types: PS3.8 9.3.2.1 to 9.3.2.3 and PS3.7 D.3.3.
_APPLICATION_CONTEXT_ITEM: Final = 0x10
_CONTEXT_ITEM_RQ: Final = 0x20
_CONTEXT_ITEM_AC: Final = 0x21
_ABSTRACT_SYNTAX_ITEM: Final = 0x30
_TRANSFER_SYNTAX_ITEM: Final = 0x40
_USER_INFORMATION_ITEM: Final = 0x50
_MAXIMUM_LENGTH_ITEM: Final = 0x51
_IMPLEMENTATION_CLASS_ITEM: Final = 0x52
_ROLE_SELECTION_ITEM: Final = 0x54
_IMPLEMENTATION_VERSION_ITEM: Final = 0x55

_FIXED: Final = struct.Struct(">Hxx16s16s32x")  # protocol version, called AE title, calling AE title
_ITEM: Final = struct.Struct(">BxH")
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_PROTOCOL_VERSION_1: Final = 0x0001
_ACCEPTANCE: Final = 0  # PS3.8 table 9-18
_MAX_CONTEXTS: Final = 128  # odd IDs from 1 to 255 (PS3.8 9.3.2.2)


@dataclass(frozen=True)
class ProposedContext:
    """A presentation context of the requestor (PS3.8 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Role:
    """SCP/SCU role selection (PS3.7 D.3.3.4): which roles the requestor takes for a SOP class.

    In a request: proposed; in an answer: accepted. Without it the requestor is the SCU.
    """

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ says, as far as an SCP of storage and verification needs it.

    AE titles come without the spaces around them, which are not significant (PS3.8 table 9-11).
    `max_length` is the largest P-DATA-TF that the requestor takes, 0 for any (PS3.8 D.1.1).
    """

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    called_field: bytes
    calling_field: bytes
    application_context: str
    contexts: tuple[ProposedContext, ...]
    max_length: int
    implementation: str
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True)
class ContextResult:
    """Our answer to one proposed context (PS3.8 table 9-18); `transfer_syntax` counts only when result is 0."""

    context_id: int
    result: int
    abstract_syntax: str
    transfer_syntax: str


def decode_associate_request(body: memoryview) -> AssociateRequest:
    """Decode the body (without the six header bytes) of an A-ASSOCIATE-RQ.

    Items that an acceptor does not know, or has no use for (extended negotiation, user identity, asynchronous
    operations), are passed over: leaving them out of the answer says that they are not supported (PS3.8 9.3.1,
    PS3.7 D.3.3).

    Raises:
        InvalidPdu: lengths that do not fit each other, or fields that PS3.8 does not allow.
    """
    if len(body) < _FIXED.size:
        raise _invalid(f"expected at least {_FIXED.size} bytes of A-ASSOCIATE-RQ, got {len(body)}")
    version, called, calling = _FIXED.unpack_from(body)
    application_context, implementation = "", ""
    max_length = 0
    roles: tuple[Role, ...] = ()
    contexts: list[ProposedContext] = []
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _APPLICATION_CONTEXT_ITEM:
            application_context = _uid(value)
        elif kind == _CONTEXT_ITEM_RQ:
            contexts.append(_decode_context(value))
        elif kind == _USER_INFORMATION_ITEM:
            max_length, implementation, roles = _decode_user_information(value)
    _check_contexts(contexts)
    return AssociateRequest(
        protocol_version=version,
        called_ae_title=_ae_title(called),
        calling_ae_title=_ae_title(calling),
        called_field=called,
        calling_field=calling,
        application_context=application_context,
        contexts=tuple(contexts),
        max_length=max_length,
        implementation=implementation,
        roles=roles,
    )


def encode_associate_request(
    called_ae_title: str,
    calling_ae_title: str,
    contexts: Sequence[ProposedContext],
    max_length: int,
    roles: Sequence[Role] = (),
) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 table 9-11).

    Args:
        called_ae_title, calling_ae_title: at most 16 characters of ASCII.
        contexts: at most 128, with odd IDs that are all different (PS3.8 9.3.2.2).
        max_length: the largest P-DATA-TF that we take.
        roles: for the SOP classes of which we are not the SCU, or not only.
    """
    items = [_item(_APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode())]
    for context in contexts:
        value = struct.pack(">Bxxx", context.context_id) + _item(
            _ABSTRACT_SYNTAX_ITEM, context.abstract_syntax.encode()
        )
        value += b"".join(_item(_TRANSFER_SYNTAX_ITEM, syntax.encode()) for syntax in context.transfer_syntaxes)
        items.append(_item(_CONTEXT_ITEM_RQ, value))
    items.append(_item(_USER_INFORMATION_ITEM, _user_information(max_length, roles)))
    called, calling = (title.encode("ascii").ljust(16) for title in (called_ae_title, calling_ae_title))
    body = _FIXED.pack(_PROTOCOL_VERSION_1, called, calling) + b"".join(items)
    return encode_header(PduType.A_ASSOCIATE_RQ, len(body)) + body


@dataclass(frozen=True)
class AssociateAccept:
    """What an A-ASSOCIATE-AC says.

    Attributes:
        accepted: transfer syntax UID by the ID of each accepted presentation context.
        max_length: the largest P-DATA-TF that the acceptor takes, 0 for any (PS3.8 D.1.1).
        roles: those that it accepted.
    """

    accepted: Mapping[int, str]
    max_length: int
    roles: tuple[Role, ...] = ()


def decode_associate_accept(body: memoryview) -> AssociateAccept:
    """Decode the body (without the six header bytes) of an A-ASSOCIATE-AC.

    Raises:
        InvalidPdu: lengths that do not fit each other, or fields that PS3.8 does not allow.
    """
    if len(body) < _FIXED.size:
        raise _invalid(f"expected at least {_FIXED.size} bytes of A-ASSOCIATE-AC, got {len(body)}")
    accepted: dict[int, str] = {}
    max_length = 0
    roles: tuple[Role, ...] = ()
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _CONTEXT_ITEM_AC and len(value) >= 4 and value[2] == _ACCEPTANCE:
            # The transfer syntax counts in an accepted context alone; some acceptors leave rubbish in the others.
            for part_kind, part in _items(value[4:]):
                if part_kind == _TRANSFER_SYNTAX_ITEM:
                    accepted[value[0]] = _uid(part)
        elif kind == _USER_INFORMATION_ITEM:
            max_length, _implementation, roles = _decode_user_information(value)
    return AssociateAccept(accepted, max_length, roles)


def encode_associate_accept(
    request: AssociateRequest, results: Sequence[ContextResult], max_length: int, roles: Sequence[Role] = ()
) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 table 9-17). The AE title fields come back as they came: they are not tested."""
    items = [_item(_APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode())]
    for result in results:
        value = struct.pack(">BxBx", result.context_id, result.result)
        items.append(_item(_CONTEXT_ITEM_AC, value + _item(_TRANSFER_SYNTAX_ITEM, result.transfer_syntax.encode())))
    items.append(_item(_USER_INFORMATION_ITEM, _user_information(max_length, roles)))
    fixed = _FIXED.pack(_PROTOCOL_VERSION_1, request.called_field, request.calling_field)
    body = fixed + b"".join(items)
    return encode_header(PduType.A_ASSOCIATE_AC, len(body)) + body


def supports_version_1(request: AssociateRequest) -> bool:
    """Bit 0 of the protocol version stands for version 1; the other bits are not tested (PS3.8 table 9-11)."""
    return bool(request.protocol_version & _PROTOCOL_VERSION_1)


def _user_information(max_length: int, roles: Sequence[Role]) -> bytes:
    user = _item(_MAXIMUM_LENGTH_ITEM, struct.pack(">L", max_length))
    user += _item(_IMPLEMENTATION_CLASS_ITEM, IMPLEMENTATION_CLASS_UID.encode())
    user += b"".join(map(_role_item, roles))  # in the order of their types, as PS3.7 D.3.3 has them
    return user + _item(_IMPLEMENTATION_VERSION_ITEM, IMPLEMENTATION_VERSION_NAME.encode())


def _invalid(message: str) -> InvalidPdu:
    return InvalidPdu(AbortReason.INVALID_PARAMETER, message)


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _items(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    position, end = 0, len(body)
    while position < end:
        if end - position < _ITEM.size:
            raise _invalid(f"A-ASSOCIATE-RQ: {end - position} stray bytes after the last item")
        kind, length = _ITEM.unpack_from(body, position)
        start = position + _ITEM.size
        position = start + length
        if position > end:
            raise _invalid(f"A-ASSOCIATE-RQ: item {kind:#04x} announces {length} bytes, {end - start} are left")
        yield kind, body[start:position]


def _decode_context(value: memoryview) -> ProposedContext:
    if len(value) < 4:
        raise _invalid(f"A-ASSOCIATE-RQ: expected a presentation context of 4 bytes or more, got {len(value)}")
    abstract = ""
    transfer: list[str] = []
    for kind, part in _items(value[4:]):
        if kind == _ABSTRACT_SYNTAX_ITEM:
            abstract = _uid(part)
        elif kind == _TRANSFER_SYNTAX_ITEM:
            transfer.append(_uid(part))
    if not abstract or not transfer:
        raise _invalid("A-ASSOCIATE-RQ: a presentation context lacks its abstract syntax or its transfer syntaxes")
    return ProposedContext(value[0], abstract, tuple(transfer))


def _check_contexts(contexts: Sequence[ProposedContext]) -> None:
    if not 1 <= len(contexts) <= _MAX_CONTEXTS:
        raise _invalid(f"A-ASSOCIATE-RQ: expected 1 to {_MAX_CONTEXTS} presentation contexts, got {len(contexts)}")
    numbers = {context.context_id for context in contexts}
    if len(numbers) != len(contexts) or any(number % 2 == 0 for number in numbers):
        raise _invalid("A-ASSOCIATE-RQ: expected presentation context IDs that are odd and all different")


def _role_item(role: Role) -> bytes:
    uid = role.sop_class_uid.encode()
    return _item(_ROLE_SELECTION_ITEM, struct.pack(">H", len(uid)) + uid + bytes((role.scu, role.scp)))


def _decode_role(value: memoryview) -> Role | None:
    """None for an item that does not hold what it says: as if it was not there, which means the usual roles."""
    length = int.from_bytes(value[:2], "big")
    if len(value) != length + 4:
        return None
    return Role(_uid(value[2 : 2 + length]), value[length + 2] == 1, value[length + 3] == 1)


def _decode_user_information(value: memoryview) -> tuple[int, str, tuple[Role, ...]]:
    max_length, implementation = 0, ""
    roles: list[Role] = []
    for kind, part in _items(value):
        if kind == _MAXIMUM_LENGTH_ITEM:
            if len(part) != 4:
                raise _invalid(f"A-ASSOCIATE-RQ: expected a maximum length of 4 bytes, got {len(part)}")
            max_length = int.from_bytes(part, "big")
        elif kind == _IMPLEMENTATION_VERSION_ITEM:
            implementation = _printable(bytes(part))[:16]
        elif kind == _ROLE_SELECTION_ITEM and (role := _decode_role(part)) is not None:
            roles.append(role)
    return max_length, implementation, tuple(roles)


def _uid(value: memoryview) -> str:
    """A UID of 64 characters at most; padding, which PS3.8 annex F does not allow but some senders add, is dropped."""
    text = bytes(value).rstrip(b"\0 ").decode("ascii", "replace")
    if len(text) > 64 or not _UID.fullmatch(text):
        raise _invalid(f"A-ASSOCIATE-RQ: expected a UID, got {len(value)} bytes that are none")
    return text


def _ae_title(field: bytes) -> str:
    return _printable(field.rstrip(b"\0")).strip()


def _printable(raw: bytes) -> str:
    """Text that is safe in a log line: what is not printable ASCII becomes '?'."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in raw)
