"""One association that we ask for: the requestor of PS3.8 and the storage and verification SCU of PS3.7 on it.

The PDUs, the commands and the connection are the receiver's (`dicom_node.node.upper_layer`); pynetdicom is the oracle
of the tests. One thread, no polling: it sleeps in the kernel until bytes, the end or the timeout come. Memory is
bounded by our own cap on PDUs, whatever the peer announces: a file goes out in pieces as it is read.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dicom_node.node.errors import DeliveryError
from dicom_node.node.no_connection import no_connection
from dicom_node.node.tls import ClientTls, client_context
from dicom_node.node.upper_layer.associate import (
    ProposedContext,
    Role,
    decode_associate_accept,
    encode_associate_request,
)
from dicom_node.node.upper_layer.dimse import (
    Command,
    CommandSet,
    Response,
    decode_command,
    decode_response,
    encode_echo_request,
    encode_response,
    encode_store_request,
)
from dicom_node.node.upper_layer.pdu import (
    COMMAND_FRAGMENT,
    LAST_FRAGMENT,
    AbortReason,
    InvalidPdu,
    PduType,
    data_pdus,
    encode_abort,
    encode_command,
    encode_release_request,
    rejection_words,
    split_pdvs,
)
from dicom_node.node.upper_layer.secure_transport import HandshakeFailed, SecureTransport, TlsFailed
from dicom_node.node.upper_layer.transport import Transport, TransportClosed, TransportTimeout

MAX_PDU_BYTES: Final = 262_144
"""The largest P-DATA-TF that we send and take, whatever the peer announces."""
_CHUNK_BYTES: Final = 1024 * 1024  # of a file at once
_MOST_PARTS: Final = 1000  # buffers of one sendmsg: IOV_MAX is 1024
_MAX_RESPONSE_BYTES: Final = 16 * 1024
_MAX_DATA_BYTES: Final = 8 * 1024 * 1024  # of a report or an identifier, which is kept in memory
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_LINGER_SECONDS: Final = 2.0
_QUESTION: Final = "does it use TLS on this port?"
_ABORTED: Final = "the association was aborted, or the peer was silent"


class Receiver(Protocol):
    """Where to send: `dicom_node.node.settings.Destination` is one."""

    @property
    def ae_title(self) -> str:
        """Called AE title."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, for association control, for the answer to one object, for silence on the network."""

    connection: float = 10.0
    acse: float = 30.0
    dimse: float = 60.0
    network: float = 60.0


@dataclass(frozen=True)
class Call:
    """The peer to call, and how."""

    destination: Receiver
    calling_ae_title: str
    timeouts: Timeouts
    tls: ClientTls | None
    max_pdu_bytes: int = MAX_PDU_BYTES

    @property
    def name(self) -> str:
        """The peer, for messages."""
        return f"{self.destination.ae_title}@{self.destination.host}:{self.destination.port}"


class Sink(Protocol):
    """Takes the data set of an object that the peer sends us."""

    def write(self, fragment: memoryview | bytes) -> None:
        """Append; never raises, since the peer is read to the last fragment before it gets a status."""


class NoContextAccepted(DeliveryError):
    """The peer accepted the association and none of its presentation contexts."""


@dataclass(frozen=True)
class ObjectBytes:
    """The data set of one object: bytes of a file from `offset` on, or `encoded` ones.

    Attributes:
        sop_class_uid, sop_instance_uid: what the command says; the data set's own.
        transfer_syntax_uid: how the bytes are encoded.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    offset: int = 0
    encoded: bytes | None = None


@dataclass(frozen=True)
class Message:
    """A request or a response of the peer."""

    context_id: int
    command: CommandSet
    data: bytes


class RequestedAssociation:
    """An association that the peer has accepted; made by `associated`.

    Attributes:
        is_open: False once it has ended, by the peer or by us.
        was_silent: it ended since the peer did not answer in time.
    """

    def __init__(self, transport: Transport, call: Call, accepted: dict[tuple[str, str], int], peer_max: int) -> None:
        self._transport = transport
        self._timeouts = call.timeouts
        self._accepted = accepted
        self._max_body = min(peer_max or call.max_pdu_bytes, call.max_pdu_bytes)
        self._max_pdu_bytes = call.max_pdu_bytes
        self._message_id = 0
        self._buffer = bytearray(self._chunk_bytes())
        self.is_open = True
        self.was_silent = False

    def accepts(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether an object of that class may be sent in that transfer syntax."""
        return (sop_class_uid, transfer_syntax_uid) in self._accepted

    def accepts_class(self, sop_class_uid: str) -> bool:
        """Whether an object of that class may be sent in any transfer syntax."""
        return any(sop_class == sop_class_uid for sop_class, _ in self._accepted)

    def store(self, source: ObjectBytes) -> int | None:
        """C-STORE one object (PS3.7 9.1.1); its status, None when no answer came, which ends the association.

        Raises:
            OSError: the file cannot be read. Before its first byte was sent the association goes on, after it ends.
        """
        context_id = self._accepted[source.sop_class_uid, source.transfer_syntax_uid]
        message_id = self._next_message_id()
        command = encode_store_request(message_id, source.sop_class_uid, source.sop_instance_uid)
        with contextlib.ExitStack() as opened:
            chunks = _chunks_of(source, self._buffer, opened)
            first = next(chunks)  # an unreadable file costs nothing: not a byte has been sent
            try:
                self._send_data(encode_command(context_id, command, self._max_body), context_id, first, chunks)
            except OSError:
                self.abort()
                raise
            except (TransportClosed, TransportTimeout) as error:
                self._lost(error)
                return None
        return self._answer_to(message_id)

    def echo(self, sop_class_uid: str, transfer_syntax_uid: str) -> int | None:
        """C-ECHO (PS3.7 9.1.5); its status, None when no answer came."""
        context_id = self._accepted[sop_class_uid, transfer_syntax_uid]
        message_id = self._next_message_id()
        command = encode_echo_request(message_id, sop_class_uid)
        try:
            self._transport.send(encode_command(context_id, command, self._max_body))
        except (TransportClosed, TransportTimeout) as error:
            self._lost(error)
            return None
        return self._answer_to(message_id)

    def request(self, sop_class_uid: str, encode: Callable[[int], bytes], data: bytes) -> int | None:
        """Send a request with a data set in Implicit VR Little Endian.

        Args:
            sop_class_uid: whose presentation context was accepted.
            encode: gives the command set from the message ID.
            data: the data set.

        Returns:
            its message ID, None when the association has ended.
        """
        context_id = self._accepted[sop_class_uid, _IMPLICIT_VR_LITTLE_ENDIAN]
        message_id = self._next_message_id()
        parts = data_pdus(context_id, memoryview(data), _fragment_bytes(self._max_body), True)
        try:
            self._transport.send(encode_command(context_id, encode(message_id), self._max_body))
            for at in range(0, len(parts), _MOST_PARTS):
                self._transport.send_parts(parts[at : at + _MOST_PARTS])
        except (TransportClosed, TransportTimeout) as error:
            self._lost(error)
            return None
        return message_id

    def respond(self, message: Message, status: int) -> None:
        """Answer a request of the peer."""
        response = encode_response(message.command, status)
        try:
            self._transport.send(encode_command(message.context_id, response, self._max_body))
        except (TransportClosed, TransportTimeout) as error:
            self._lost(error)

    def context(self, context_id: int) -> tuple[str, str] | None:
        """SOP class and transfer syntax UID of an accepted presentation context; None: it was not accepted."""
        return next((names for names, number in self._accepted.items() if number == context_id), None)

    def next_message(
        self, seconds: float | None = None, open_sink: Callable[[int, CommandSet], Sink] | None = None
    ) -> Message | None:
        """The next whole message, with its data set.

        Args:
            seconds: how long it is waited for; None: as long as for an answer.
            open_sink: gives, from context ID and command, where the data set of a C-STORE request goes, which the
                message then has not; None: it is kept in memory as any other.

        Returns:
            None when nothing came in that time, or the association has ended (`is_open`).
        """
        patience = self._timeouts.dimse if seconds is None else seconds
        try:
            return self._message(time.monotonic() + patience, patience, open_sink)
        except TransportTimeout as error:
            if seconds is None:
                self._lost(error)
        except TransportClosed as error:
            self._lost(error)
        except InvalidPdu as error:
            with contextlib.suppress(TransportClosed, TransportTimeout):
                self._transport.send(encode_abort(2, error.reason))
            self._lost(error)
        return None

    def _message(self, deadline: float, seconds: float, open_sink: Callable[[int, CommandSet], Sink] | None) -> Message:
        command, data = bytearray(), bytearray()
        found: CommandSet | None = None
        sink: Sink | None = None
        while True:
            kind, body = self._transport.read_pdu(seconds, self._max_pdu_bytes, deadline)
            if kind is PduType.A_RELEASE_RQ or kind is PduType.A_ABORT:
                raise TransportClosed("ended by the peer")
            if kind is not PduType.P_DATA_TF:
                raise InvalidPdu(AbortReason.UNEXPECTED_PDU, f"expected P-DATA-TF, got {kind.name}")
            for context_id, control, fragment in split_pdvs(body):
                if sink is not None and not control & COMMAND_FRAGMENT:
                    sink.write(fragment)
                else:
                    (command if control & COMMAND_FRAGMENT else data).extend(fragment)
                if len(command) > _MAX_RESPONSE_BYTES or len(data) > _MAX_DATA_BYTES:
                    raise InvalidPdu(AbortReason.INVALID_PARAMETER, "a message that does not end")
                if not control & LAST_FRAGMENT:
                    continue
                if control & COMMAND_FRAGMENT:
                    found = decode_command(bytes(command))
                    if found.has_data_set:
                        if open_sink is not None and found.command_field == Command.C_STORE_RQ:
                            sink = open_sink(context_id, found)
                        continue
                if found is not None:
                    return Message(context_id, found, bytes(data))

    def release(self) -> None:
        """End the association in order (PS3.8 7.2); whatever the peer does, the connection is closed after."""
        if not self.is_open:
            return
        self.is_open = False
        with contextlib.suppress(TransportClosed, TransportTimeout, InvalidPdu):
            self._transport.send(encode_release_request())
            deadline = time.monotonic() + self._timeouts.acse
            while True:
                kind, _body = self._transport.read_pdu(self._timeouts.acse, self._max_pdu_bytes, deadline)
                if kind is not PduType.P_DATA_TF:  # data that was not requested is still on its way
                    break
        self._transport.close()

    def abort(self) -> None:
        """End the association at once."""
        if not self.is_open:
            return
        self.is_open = False
        with contextlib.suppress(TransportClosed, TransportTimeout):
            self._transport.send(encode_abort(0, 0))
        self._transport.close()

    # Sending

    def _chunk_bytes(self) -> int:
        """How much of a file is read at once: what one call to the kernel may take."""
        return max(min(_CHUNK_BYTES, (_MOST_PARTS // 2) * _fragment_bytes(self._max_body)), 2)

    def _send_data(
        self, command: bytes, context_id: int, first: tuple[memoryview, bool], chunks: Iterator[tuple[memoryview, bool]]
    ) -> None:
        """The command and the first chunk leave together."""
        chunk, last = first
        room = _fragment_bytes(self._max_body)
        self._transport.send_parts([command, *data_pdus(context_id, chunk, room, last)])
        for chunk, last in chunks:
            self._transport.send_parts(data_pdus(context_id, chunk, room, last))

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    # Answers

    def _answer_to(self, message_id: int) -> int | None:
        """The status of the response to our request; what answers none of ours is passed over."""
        deadline = time.monotonic() + self._timeouts.dimse
        try:
            while True:
                response = self._response(deadline)
                if response.message_id == message_id and response.status is not None:
                    return response.status
        except (TransportClosed, TransportTimeout) as error:
            self._lost(error)
            return None
        except InvalidPdu as error:
            with contextlib.suppress(TransportClosed, TransportTimeout):
                self._transport.send(encode_abort(2, error.reason))
            self._lost(error)
            return None

    def _response(self, deadline: float) -> Response:
        """The next command set, with the data set behind it, if there is one, read and dropped."""
        command = bytearray()
        found: Response | None = None
        while True:
            kind, body = self._transport.read_pdu(self._timeouts.dimse, self._max_pdu_bytes, deadline)
            if kind is PduType.A_RELEASE_RQ or kind is PduType.A_ABORT:
                raise TransportClosed("ended by the peer")
            if kind is not PduType.P_DATA_TF:
                raise InvalidPdu(AbortReason.UNEXPECTED_PDU, f"expected P-DATA-TF, got {kind.name}")
            for _context_id, control, fragment in split_pdvs(body):
                if control & COMMAND_FRAGMENT:
                    command += fragment
                    if len(command) > _MAX_RESPONSE_BYTES:
                        raise InvalidPdu(AbortReason.INVALID_PARAMETER, "a response that does not end")
                    if control & LAST_FRAGMENT:
                        found = decode_response(bytes(command))
                        command.clear()
                        if not found.has_data_set:
                            return found
                elif control & LAST_FRAGMENT and found is not None:
                    return found

    def _lost(self, error: Exception) -> None:
        self.was_silent = isinstance(error, TransportTimeout)
        if self.was_silent:
            self.abort()
        self.is_open = False
        self._transport.close()


@contextlib.contextmanager
def associated(
    call: Call, contexts: Sequence[tuple[str, str]], roles: Sequence[Role] = ()
) -> Iterator[RequestedAssociation]:
    """An association that is released at the end.

    Args:
        call: the peer, and how to call it.
        contexts: (SOP class UID, transfer syntax UID) each, at most 128 (PS3.8 9.3.2.2).
        roles: for SOP classes of which we are the SCP (PS3.7 D.3.3.4).

    Raises:
        NoContextAccepted: the peer accepted none of them.
        DeliveryError: why there is no association.
    """
    try:
        association = _associate(call, contexts, roles)
    except _NotAssociated as error:
        raise DeliveryError(f"{call.name}: {error}") from error
    if association is None:
        raise NoContextAccepted(f"{call.name} accepts none of these objects")
    try:
        yield association
    finally:
        association.release()


class _NotAssociated(Exception):
    """Why, without the peer's name."""


def _associate(call: Call, contexts: Sequence[tuple[str, str]], roles: Sequence[Role]) -> RequestedAssociation | None:
    """None when every context was rejected."""
    transport = _connect(call)
    try:
        proposed = [
            ProposedContext(2 * at + 1, sop_class, (syntax,)) for at, (sop_class, syntax) in enumerate(contexts)
        ]
        destination = call.destination
        titles = destination.ae_title, call.calling_ae_title
        request = encode_associate_request(*titles, proposed, call.max_pdu_bytes, roles)
        body = _ask(transport, request, call)
        answer = decode_associate_accept(body)
    except _NotAssociated:
        transport.close()
        raise
    except InvalidPdu as error:
        with contextlib.suppress(TransportClosed, TransportTimeout):
            transport.send(encode_abort(2, error.reason))
        transport.close()
        raise _NotAssociated(_ABORTED) from error
    by_id = {context.context_id: context for context in proposed}
    accepted = {
        (by_id[number].abstract_syntax, syntax): number
        for number, syntax in answer.accepted.items()
        if number in by_id and syntax in by_id[number].transfer_syntaxes
    }
    association = RequestedAssociation(transport, call, accepted, answer.max_length)
    if not accepted:
        association.release()
        return None
    return association


def _ask(transport: Transport, request: bytes, call: Call) -> memoryview:
    """The body of the A-ASSOCIATE-AC that answers `request`."""
    seconds = call.timeouts.acse
    try:
        try:
            transport.send(request)
        except TransportClosed:  # a peer that refuses our certificate says so, and leaves before we have asked
            transport.read_pdu(1.0, call.max_pdu_bytes, time.monotonic() + 1.0)
            raise
        kind, body = transport.read_pdu(seconds, call.max_pdu_bytes, time.monotonic() + seconds)
    except TlsFailed as error:
        raise _NotAssociated(f"TLS: {error}") from error
    except (TransportClosed, TransportTimeout) as error:
        raise _NotAssociated(_ABORTED) from error
    if kind is PduType.A_ASSOCIATE_RJ:
        raise _NotAssociated(f"rejected the association: {rejection_words(body)}{_next_step(body, call)}")
    if kind is not PduType.A_ASSOCIATE_AC:
        raise _NotAssociated(_ABORTED)
    return body


def _connect(call: Call) -> Transport:
    destination, timeouts = call.destination, call.timeouts
    context = None if call.tls is None else client_context(call.tls)
    try:
        connection = socket.create_connection((destination.host, destination.port), timeouts.connection)
    except (OSError, ValueError) as error:
        raise _NotAssociated(f"no connection: {no_connection(error, destination.host, destination.port)}") from error
    if context is None:
        return Transport(connection, timeouts.network)

    def wrap(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return context.wrap_bio(incoming, outgoing, server_hostname=destination.host)

    transport = SecureTransport(connection, timeouts.network, wrap)
    try:
        transport.handshake(time.monotonic() + timeouts.connection)
    except HandshakeFailed as error:
        transport.close()
        raise _NotAssociated(f"TLS: {error}{_advice(error.__cause__)}") from error
    except TransportTimeout as error:
        transport.close()
        raise _NotAssociated(f"TLS: no answer to the handshake in time; {_QUESTION}") from error
    except TransportClosed as error:
        transport.close()
        raise _NotAssociated(f"TLS: the peer left during the handshake; {_QUESTION}") from error
    return transport


def _advice(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and "mismatch" in error.verify_message:
        return "; tls_check_name = false if it names no host on purpose"
    return ""


def _next_step(body: bytes | memoryview, call: Call) -> str:
    """What to do about a rejection (PS3.8 table 9-21), by its source and reason."""
    if len(body) < 4:
        return ""
    return {
        (1, 3): f": the PACS does not know our AE title {call.calling_ae_title}: add it there",
        (1, 7): f": the PACS is not called {call.destination.ae_title}: correct the AE title of the destination",
        (3, 1): ": the PACS is busy, and is tried again",
        (3, 2): ": the PACS has no free association, and is tried again",
    }.get((body[2], body[3]), "")


def _fragment_bytes(max_body: int) -> int:
    """The even number of data set bytes that a P-DATA-TF with one value may hold (PS3.8 9.3.5.1)."""
    return max((max_body - 6) & ~1, 2)


def _chunks_of(
    source: ObjectBytes, buffer: bytearray, opened: contextlib.ExitStack
) -> Iterator[tuple[memoryview, bool]]:
    """The data set in pieces, each with whether it is the last; a piece is valid until the next is asked for."""
    if source.encoded is not None:
        view = memoryview(source.encoded)
        for start in range(0, max(len(view), 1), len(buffer)):
            yield view[start : start + len(buffer)], start + len(buffer) >= len(view)
        return
    descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    left = max(os.fstat(descriptor).st_size - source.offset, 0)
    position = source.offset
    while True:
        wanted = min(len(buffer), left)
        view = memoryview(buffer)[:wanted]
        filled = 0
        while filled < wanted:
            count = os.preadv(descriptor, [view[filled:]], position + filled)
            if count == 0:
                raise OSError(0, "the file became shorter while it was sent")
            filled += count
        position, left = position + wanted, left - wanted
        yield view, left <= 0
        if left <= 0:
            return
