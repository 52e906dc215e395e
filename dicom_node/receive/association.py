"""One connection from A-ASSOCIATE-RQ to its end: the acceptor of PS3.8 9.2 and the SCP behind it.

Runs in its own thread. Any fault of a peer ends this connection only, with one line in the log.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

from db.records import AssociationEnd, Priority, RecordOutcome
from dicom_node.node import metrics
from dicom_node.node.commitment import COMMITMENT_INSTANCE, MAX_BYTES, STORAGE_COMMITMENT
from dicom_node.node.dicom_uids import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from dicom_node.node.logger import get_logger
from dicom_node.node.small_data_set import to_explicit
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.node.tls import ServerContext
from dicom_node.node.upper_layer.associate import (
    AssociateRequest,
    ContextResult,
    decode_associate_request,
    encode_associate_accept,
)
from dicom_node.node.upper_layer.dimse import (
    MAX_COMMAND_BYTES,
    Command,
    CommandSet,
    decode_command,
    encode_event_report,
    encode_response,
)
from dicom_node.node.upper_layer.pdu import (
    COMMAND_FRAGMENT,
    LAST_FRAGMENT,
    LOCAL_LIMIT_EXCEEDED,
    PDV_HEADER_BYTES,
    TEMPORARY_CONGESTION,
    AbortReason,
    InvalidPdu,
    Rejection,
    data_pdus,
    encode_abort,
    encode_command,
    encode_rejection,
    encode_release_response,
    split_pdvs,
)
from dicom_node.node.upper_layer.secure_transport import HandshakeFailed, SecureTransport
from dicom_node.node.upper_layer.transport import Transport, TransportClosed, TransportTimeout
from dicom_node.receive.commitment import CommitmentDesk, Reply, Report, is_commitment
from dicom_node.receive.connections import Connections
from dicom_node.receive.incoming import DiskBudget, IncomingObject, is_uid
from dicom_node.receive.negotiation import ACCEPTANCE, Admission, accepted_roles, negotiate
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.receive.rejections import RejectedContexts, words_of_rejected
from dicom_node.receive.state_machine import EVENT_OF_PDU, Action, Event, State, StateMachine
from dicom_node.receive.statuses import Refusal, Status, refusal_of
from dicom_node.receive.store import Store

_LOG = get_logger()

_SERVICE_USER: Final = 0
_SERVICE_PROVIDER: Final = 2
_LINGER_SECONDS: Final = 2.0


@dataclass(frozen=True)
class ReceiverContext:
    """What the associations of a process share."""

    settings: ReceiverSettings
    admission: Admission
    connections: Connections
    store: Store
    budget: DiskBudget
    rejections: RejectedContexts
    temporary_prefix: str
    commitments: CommitmentDesk


# More rows of refused objects than slices of any head scan would only fill the database.
_MOST_REFUSED = 1000


class Association:
    """One accepted connection. Its thread calls `run`; `evict` and `stop` come from other threads.

    `tls` None: the connection came on the port without TLS.
    """

    def __init__(
        self, connection: socket.socket, address: str, context: ReceiverContext, tls: ServerContext | None = None
    ) -> None:
        self.address = address
        self.since = time.monotonic()
        self.busy = False
        self.message_since: float | None = None
        self.stored_since: float | None = self.since
        self._has_only_talked = False  # since the last object that was stored
        self._context = context
        self._settings = context.settings
        seconds = context.settings.message_seconds
        self._transport = _transport(connection, seconds, tls)
        self._machine = StateMachine()
        self._log = _LOG.bind(address=address)
        self._request: AssociateRequest | None = None
        self._contexts: dict[int, ContextResult] = {}
        self._association_id: int | None = None
        self._end = AssociationEnd.ABORTED
        self._end_reason: str | None = None  # set by other threads: why this connection has to end
        # The DIMSE message under way
        self._bytes_before = 0  # what had come when it began
        self._context_id = 0
        self._command_bytes = bytearray()
        self._command: CommandSet | None = None
        self._object: IncomingObject | None = None
        self._drained_bytes = 0  # of a data set that is not kept
        self._small: bytearray | None = None  # the data set of a message that is kept in memory
        self._reports: dict[int, int] = {}  # row of each report of ours that is not answered, by message ID
        self._report_count = 0
        self._peer_priority: Priority | None = None  # by the settings, whatever it asks for
        self._refused_count = 0  # of objects that are remembered

    @property
    def message_bytes(self) -> int:
        """How much of the present message has come."""
        return self._transport.received_bytes - self._bytes_before

    @property
    def _peer_label(self) -> str:
        calling = None if self._request is None else self._request.calling_ae_title
        return metrics.peer_label(calling, {peer.ae_title for peer in self._settings.peers})

    def evict(self, reason: str) -> None:
        """End the connection now, whatever it does."""
        self._end_reason = self._end_reason or reason
        self._transport.wake()

    def stop(self) -> None:
        """End the connection once the object that is under way is answered."""
        self._end_reason = self._end_reason or "the receiver is stopping"
        if not self.busy:
            self._transport.wake()

    def run(self) -> None:
        """Serve the connection to its end; never raises."""
        try:
            if self._shake_hands():
                self._machine.on(Event.CONNECTED)
                self._serve()
        except Exception as error:  # the SCP's edge: one peer's trouble, or a fault of ours, must not take others along
            self._log.exception("association failed", error=type(error).__name__)
            with contextlib.suppress(Exception):
                self._transport.send(encode_abort(_SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED))
        finally:
            self._finish()

    def _finish(self) -> None:
        """Leave nothing behind: no temporary file, no open row, no socket, no place among the connections."""
        if self._object is not None:
            self._object.discard()
        with contextlib.suppress(Exception):
            self._record_end()
        self._transport.close()
        self._context.connections.remove(self)

    # Before the upper layer (PS3.15 B.12)

    def _shake_hands(self) -> bool:
        """Agree on TLS on a port that asks for it; the time that it takes counts as ARTIM's."""
        try:
            agreed = self._transport.handshake(self._artim)
        except HandshakeFailed as error:
            self._warn("TLS handshake failed", reason=str(error))
            self._transport.linger(min(_LINGER_SECONDS, self._settings.handshake_seconds))
        except TransportTimeout:
            self._warn("no TLS handshake in time", seconds=self._settings.handshake_seconds)
        except TransportClosed:
            self._log.debug("connection closed before a TLS handshake", reason=self._end_reason)
        else:
            self._log.debug("transport open", tls=agreed or None)
            return True
        return False

    # The upper layer (PS3.8)

    @property
    def _artim(self) -> float:
        """When a whole A-ASSOCIATE-RQ must have come (PS3.8 9.1.5)."""
        return self.since + self._settings.handshake_seconds

    def _serve(self) -> None:
        artim = self._artim
        while self._machine.state is not State.STA1:
            if self._machine.state is State.STA13:
                self._record_end()
                self._transport.linger(min(_LINGER_SECONDS, self._settings.handshake_seconds))
                self._do(self._machine.on(Event.CLOSED))
                return
            self._step(artim)

    def _step(self, artim: float) -> None:
        """Wait for one event and act on it."""
        limit = self._settings.max_pdu_bytes
        try:
            if self._machine.state is State.STA2:
                kind, body = self._transport.read_pdu(self._settings.handshake_seconds, limit, artim)
            else:
                seconds = self._settings.message_seconds if self.busy else self._settings.idle_seconds
                kind, body = self._transport.read_pdu(seconds, limit)
            self._do(self._machine.on(EVENT_OF_PDU[kind]), body)
        except InvalidPdu as error:
            self._warn("invalid PDU", reason=str(error))
            self._do(self._machine.on(Event.INVALID), abort_reason=error.reason)
        except TransportClosed:
            self._closed()
        except TransportTimeout as error:
            self._timed_out(str(error))

    def _closed(self) -> None:
        if self._end_reason is not None and self._machine.state is State.STA6:
            self._warn("association aborted", reason=self._end_reason)
            self._do(self._machine.on(Event.LOCAL_ABORT))
            return
        if self._machine.state is State.STA2:
            # Port scans and load balancers' checks come and go without a word.
            self._log.debug("connection closed before an association", reason=self._end_reason)
        elif self._machine.state is State.STA6:
            self._warn("connection lost", reason="closed by the peer without a release")
        self._do(self._machine.on(Event.CLOSED))

    def _timed_out(self, detail: str) -> None:
        if self._machine.state is State.STA2:
            self._warn("no association request in time", seconds=self._settings.handshake_seconds)
            self._do(self._machine.on(Event.ARTIM_EXPIRED))
            return
        self._warn("association timed out", reason=detail, in_message=self.busy)
        self._do(self._machine.on(Event.LOCAL_ABORT))

    def _do(
        self,
        action: Action,
        body: memoryview | None = None,
        abort_reason: AbortReason = AbortReason.UNEXPECTED_PDU,
    ) -> None:
        """Carry out an action of the state machine."""
        match action:
            case Action.DT_2:
                assert body is not None
                self._take_data(body)
            case Action.AE_6:
                assert body is not None
                self._answer_request(body)
            case Action.AR_2:
                self._release()
            case Action.AA_1:
                self._transport_send(encode_abort(_SERVICE_USER, 0))
            case Action.AA_8:
                self._transport_send(encode_abort(_SERVICE_PROVIDER, abort_reason))
            case Action.AA_3:
                self._warn("association aborted", reason="by the peer")
            case _:
                pass  # the others are about ARTIM, which `linger` and `read_pdu` keep, or close the connection

    def _transport_send(self, data: bytes) -> None:
        """Last words: whether they arrive changes nothing."""
        with contextlib.suppress(TransportClosed, TransportTimeout):
            self._transport.send(data)

    # Association control (PS3.8 7.1, 7.2)

    def _answer_request(self, body: memoryview) -> None:
        request = decode_associate_request(body)
        self._request = request
        self._log = self._log.bind(calling=request.calling_ae_title)
        refused = self._context.admission.refusal_of(request, self.address)
        if refused is None and self._end_reason is not None:
            refused = TEMPORARY_CONGESTION, self._end_reason
        if refused is None and not self._context.connections.associate(self):
            refused = LOCAL_LIMIT_EXCEEDED, self._why_no_room()
        only_reports = refused is None and self._context.admission.only_reports(request, self.address)
        results = negotiate(request.contexts, only_reports=only_reports)
        if refused is None:
            refused = self._record_start(request, results)
        if refused is not None:
            self._reject(*refused)
            return
        self._contexts = {result.context_id: result for result in results if result.result == ACCEPTANCE}
        self._peer_priority = self._context.admission.priority_of(request, self.address)
        self._machine.on(Event.ACCEPT)
        self.since = self.stored_since = time.monotonic()
        roles = accepted_roles(request, results)
        self._transport.send(encode_associate_accept(request, results, self._settings.max_pdu_bytes, roles))
        self._log.debug("association accepted", contexts=len(results), accepted=len(self._contexts))
        self._report_rejected(request, results)

    def _why_no_room(self) -> str:
        if self._context.connections.holds_its_share(self.address):
            most = self._settings.max_associations_per_address
            return f"{most} associations from this address are open, and the other places are kept for other addresses"
        return f"{self._settings.max_associations} associations are open"

    def _report_rejected(self, request: AssociateRequest, results: list[ContextResult]) -> None:
        """Say what a peer asked for and does not get, so that an administrator can set it otherwise; once a peer."""
        rejected = sorted({words_of_rejected(result) for result in results if result.result != ACCEPTANCE})
        if not self._contexts:
            self._warn("no presentation context accepted", asked=rejected[:8])
        elif rejected and self._context.rejections.is_new(request.calling_ae_title, self.address, rejected):
            self._warn("presentation contexts rejected", asked=rejected[:8], count=len(rejected))

    def _reject(self, rejection: Rejection, reason: str) -> None:
        self._warn("association rejected", answer=rejection.meaning, reason=reason)
        metrics.association_ended(self._peer_label, "rejected")
        self._machine.on(Event.REJECT)
        self._transport_send(encode_rejection(rejection))

    def _record_start(self, request: AssociateRequest, results: list[ContextResult]) -> tuple[Rejection, str] | None:
        """Write the association's row. An association that cannot store anything (C-ECHO alone) leaves no trace."""
        if not any(result.result == ACCEPTANCE and result.abstract_syntax in STORAGE_CLASSES for result in results):
            return None
        try:
            if self._context.budget.is_spent:
                # As a receiver that starts on such a disk, whose port stays closed: a sender repeats an association
                # that it does not get, and may drop an image that is refused.
                return TEMPORARY_CONGESTION, "no space left on the disk"
            self._association_id = self._context.store.open_association(
                request.calling_ae_title, request.called_ae_title, self.address, self._settings.receiver
            )
        except OSError as error:
            return TEMPORARY_CONGESTION, f"the storage is away: {error.strerror}"
        except Exception as error:  # the SCP's edge: the database may be away for a while
            return TEMPORARY_CONGESTION, f"{type(error).__name__} in the database"
        self._log = self._log.bind(association=self._association_id)
        return None

    def _release(self) -> None:
        if self.busy:
            self._warn("released during a message", reason="the object is not stored")
        else:
            self._end = AssociationEnd.RELEASED
        # The row first: it exists when the end of the connection is visible.
        self._record_end()
        self._do(self._machine.on(Event.RELEASE))
        self._transport_send(encode_release_response())

    def _record_end(self) -> None:
        association_id, self._association_id = self._association_id, None
        if association_id is None:
            return
        metrics.association_ended(self._peer_label, self._end.value)
        try:
            self._context.store.end_association(association_id, self._end)
        except Exception as error:  # the SCP's edge: the store records it once the database is back
            self._warn("end of association not recorded yet", error=type(error).__name__)

    # DIMSE (PS3.7)

    def _take_data(self, body: memoryview) -> None:
        try:
            for context_id, control, fragment in split_pdvs(body):
                if control & COMMAND_FRAGMENT:
                    self._take_command_fragment(context_id, control, fragment)
                else:
                    self._take_data_fragment(context_id, control, fragment)
        except InvalidPdu as error:
            self._warn("invalid message", reason=str(error))
            self._do(self._machine.on(Event.INVALID), abort_reason=error.reason)
            return
        if self._end_reason is not None and not self.busy and self._machine.state is State.STA6:
            self._closed()

    def _take_command_fragment(self, context_id: int, control: int, fragment: memoryview) -> None:
        if self._command is not None:
            raise InvalidPdu(AbortReason.UNEXPECTED_PARAMETER, "a command inside a data set")
        if context_id not in self._contexts:
            raise InvalidPdu(AbortReason.INVALID_PARAMETER, f"presentation context {context_id} was not accepted")
        if self._command_bytes and context_id != self._context_id:
            raise InvalidPdu(AbortReason.UNEXPECTED_PARAMETER, "one message in two presentation contexts")
        if not self.busy:
            self.busy = True
            self._bytes_before = self._transport.received_bytes
            self.message_since = time.monotonic()
            if not self._has_only_talked:  # a pause between two objects is no talk: archives fetch from tape
                self.stored_since = self.message_since
        self._context_id = context_id
        self._command_bytes += fragment
        if len(self._command_bytes) > MAX_COMMAND_BYTES:
            raise InvalidPdu(AbortReason.INVALID_PARAMETER, f"a command set of more than {MAX_COMMAND_BYTES} bytes")
        if control & LAST_FRAGMENT:
            self._command = decode_command(bytes(self._command_bytes))
            self._command_bytes.clear()
            self._begin_message(self._command)

    def _begin_message(self, command: CommandSet) -> None:
        if command.has_data_set:
            if command.command_field == Command.C_STORE_RQ:
                self._begin_object(command)
            elif is_commitment(command) and self._is_context_of(STORAGE_COMMITMENT):
                self._small = bytearray()
            return  # what follows is read, and answered at its end
        self._end_message()

    def _begin_object(self, command: CommandSet) -> None:
        context = self._contexts[self._context_id]
        if self._refusal_of_command(command, context) is not None:
            return
        self._object = IncomingObject(
            folder=self._context.budget.folder,
            prefix=self._context.temporary_prefix,
            budget=self._context.budget,
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            syntax=STORAGE_CLASSES[context.abstract_syntax].transfer_syntaxes[context.transfer_syntax],
        )

    def _take_data_fragment(self, context_id: int, control: int, fragment: memoryview) -> None:
        if self._command is None or context_id != self._context_id:
            raise InvalidPdu(AbortReason.UNEXPECTED_PARAMETER, "a data set fragment without its command")
        if self._object is not None:
            self._object.write(fragment)
        if self._small is not None:
            self._small += fragment
            if len(self._small) > MAX_BYTES:
                raise InvalidPdu(AbortReason.NOT_SPECIFIED, f"a data set of more than {MAX_BYTES} bytes")
        elif self._object is None or self._object.failure is not None:
            self._drained_bytes += len(fragment)
            if self._drained_bytes > self._settings.max_drained_bytes:
                raise InvalidPdu(AbortReason.NOT_SPECIFIED, "the peer continues to send a refused object")
        if control & LAST_FRAGMENT:
            self._end_message()

    def _end_message(self) -> None:
        command, received, small = self._command, self._object, self._small
        assert command is not None
        self._small = None
        self._command = self._object = self.message_since = None  # from here on it is we who take the time
        self._drained_bytes = 0
        has_stored = False
        if command.command_field == Command.C_STORE_RQ:
            stored_before, self.stored_since = self.stored_since, None
            refusal = self._store(command, received)
            has_stored = refusal is None
            self.stored_since = time.monotonic() if has_stored else stored_before
            status = Status.SUCCESS if refusal is None else refusal.status
            self._respond(command, status, "" if refusal is None else refusal.reason)
        elif command.command_field == Command.C_ECHO_RQ and self._is_context_of(VERIFICATION):
            self._respond(command, Status.SUCCESS)
        elif is_commitment(command) and self._is_context_of(STORAGE_COMMITMENT):
            self._answer_commitment(command, bytes(small or b""))
        elif command.is_response:
            self._take_response(command)
        elif command.command_field == Command.C_CANCEL_RQ:  # it has no response (PS3.7 9.3.2.3)
            self._log.info("cancel ignored, no operation here can be cancelled", about=command.message_id)
        else:
            self._warn("operation refused", command_field=f"{command.command_field:#06x}")
            self._respond(command, Status.UNRECOGNIZED_OPERATION)
        self._has_only_talked = not has_stored
        self.busy = False
        self.since = time.monotonic()

    def _is_context_of(self, sop_class_uid: str) -> bool:
        return self._contexts[self._context_id].abstract_syntax == sop_class_uid

    # Storage commitment (PS3.4 annex J)

    def _answer_commitment(self, command: CommandSet, data: bytes) -> None:
        assert self._request is not None
        explicit_vr = self._contexts[self._context_id].transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN.uid
        calling = self._request.calling_ae_title
        try:
            reply = self._context.commitments.reply(command, data, calling, explicit_vr=explicit_vr)
        except Exception as error:  # the SCP's edge: the peer gets a status, and asks or reports again
            self._log.error("storage commitment failed", error=type(error).__name__, detail=_first_line(error))
            reply = Reply(Status.PROCESSING_FAILURE)
        if reply.status is not Status.SUCCESS:
            self._warn("storage commitment refused", status=f"{reply.status:#06x}", reason=reply.comment)
        self._respond(command, reply.status, reply.comment)
        if reply.report is not None:
            self._report_commitment(reply.report)

    def _report_commitment(self, report: Report) -> None:
        """Send the report in the association of its request; the answer to it comes as a message of its own."""
        assert self._request is not None
        self._report_count += 1
        message_id = self._report_count & 0xFFFF
        self._reports[message_id] = report.answer_id
        event = encode_event_report(message_id, STORAGE_COMMITMENT, COMMITMENT_INSTANCE, report.event_type_id)
        most = self._request.max_length or self._settings.max_pdu_bytes
        room = max((most - PDV_HEADER_BYTES) & ~1, 2)
        self._transport.send(encode_command(self._context_id, event, self._request.max_length))
        data = report.data
        if self._contexts[self._context_id].transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN.uid:
            data = to_explicit(data)
        self._transport.send(b"".join(data_pdus(self._context_id, memoryview(data), room, True)))

    def _take_response(self, command: CommandSet) -> None:
        answer_id = None if command.message_id is None else self._reports.pop(command.message_id, None)
        if answer_id is None or command.status != Status.SUCCESS:
            self._warn("the sender did not take our report of storage commitment", status=command.status)
            return
        with contextlib.suppress(Exception):  # the SCP's edge: the report was taken, whatever the database says
            self._context.commitments.is_reported(answer_id)

    def _respond(self, command: CommandSet, status: Status, comment: str = "") -> None:
        assert self._request is not None
        response = encode_response(command, status, comment)
        self._transport.send(encode_command(self._context_id, response, self._request.max_length))

    def _refusal_of_command(self, command: CommandSet, context: ContextResult) -> Refusal | None:
        """What is wrong with a C-STORE-RQ before any data has come."""
        if context.abstract_syntax not in STORAGE_CLASSES or command.sop_class_uid != context.abstract_syntax:
            return Refusal(
                Status.SOP_CLASS_NOT_SUPPORTED, "the SOP class differs from that of the presentation context"
            )
        if not is_uid(command.sop_instance_uid):
            return Refusal(Status.INVALID_OBJECT_INSTANCE, "Affected SOP Instance UID is missing or not a UID")
        if not command.has_data_set:
            return Refusal(Status.CANNOT_UNDERSTAND, "a C-STORE-RQ without a data set")
        return None

    def _store(self, command: CommandSet, received: IncomingObject | None) -> Refusal | None:
        """Store the object; None when it may be acknowledged."""
        try:
            refusal = self._refusal_of_command(command, self._contexts[self._context_id])
            if refusal is None:
                assert received is not None
                assert self._association_id is not None
                checked = received.finish()
                priority = self._peer_priority or command.priority
                outcome = self._context.store.keep(checked, self._association_id, priority)
                self._note(command, outcome)
                metrics.instance_received(self._peer_label, outcome.value)
                return None
        except Exception as error:  # the SCP's edge: the peer gets a status for whatever went wrong
            refusal = refusal_of(error)
            if refusal.status is Status.PROCESSING_FAILURE:
                self._log.error("storing failed", error=type(error).__name__, detail=_first_line(error))
        metrics.instance_received(self._peer_label, "refused")
        uid = command.sop_instance_uid if is_uid(command.sop_instance_uid) else None
        self._warn("object refused", status=f"{refusal.status:#06x}", reason=refusal.reason, sop_instance_uid=uid)
        if uid is not None:
            self._remember_refused(uid, refusal)
        return refusal

    def _remember_refused(self, sop_instance_uid: str, refusal: Refusal) -> None:
        """Completion has to know what the series lacks: an image that is damaged as it was sent."""
        series, context = refusal.series_instance_uid, self._contexts[self._context_id]
        storage_class = STORAGE_CLASSES.get(context.abstract_syntax)
        is_damaged = refusal.status in (Status.CANNOT_UNDERSTAND, Status.DATA_SET_DOES_NOT_MATCH)
        if self._association_id is None or storage_class is None or not storage_class.is_read:
            return
        if not is_damaged or not is_uid(series) or self._refused_count >= _MOST_REFUSED:
            return
        self._refused_count += 1
        try:
            self._context.store.note_refused(series, sop_instance_uid, refusal.reason, self._association_id)
        except Exception as error:  # the SCP's edge: the sender has its status, and may send again
            self._warn("refused object not remembered", error=type(error).__name__)

    def _note(self, command: CommandSet, outcome: RecordOutcome) -> None:
        if outcome is RecordOutcome.CONFLICT:
            self._warn(
                "same instance with different bytes",
                sop_instance_uid=command.sop_instance_uid,
                reason="kept with the first one and flagged",
            )

    def _warn(self, event: str, **facts: object) -> None:
        self._log.warning(event, **facts)


def _transport(connection: socket.socket, seconds: float, tls: ServerContext | None) -> Transport:
    if tls is None:
        return Transport(connection, seconds)

    def wrap(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return tls.current().wrap_bio(incoming, outgoing, server_side=True)

    return SecureTransport(connection, seconds, wrap, is_server=True)


def _first_line(error: BaseException) -> str:
    """SQLAlchemy appends statement and parameters on further lines; the first one says what happened."""
    return str(error).splitlines()[0][:200] if str(error) else ""
