"""Storage SCU on pynetdicom.

Files go out as they are, in chunks, without being decoded. Two habits of TCP would cost up to 45 ms an object: Nagle's
algorithm here, which pynetdicom leaves on, and our delayed ACK where the peer leaves it on. Both are switched off.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association

from dicom_node.deliver.send.answers import AnswersForTheAsker
from dicom_node.deliver.send.object_file import ObjectFile, read_object_file
from dicom_node.deliver.send.plan import IMPLICIT_VR_LITTLE_ENDIAN, AssociationPlan, is_native, plan_associations
from dicom_node.deliver.send.result_classes import words_of_class
from dicom_node.deliver.send.secure import reasoned_context
from dicom_node.deliver.send.statuses import Answer, answer_of, words_of
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.tls import ClientTls

# Makes `send_c_store(path)` send the file's bytes; it has no effect on anything but paths.
_config.STORE_SEND_CHUNKED_DATASET = True

_VERIFICATION: Final = "1.2.840.10008.1.1"
_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_SUCCESS: Final = 0x0000
# What a peer would answer that rejects the presentation context: SOP class not supported (PS3.7 C.5).
_NOT_SUPPORTED: Final = 0x0122
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux
_LOOP_SECONDS: Final = 0.0002  # pynetdicom looks for work every 1 ms, several times an object


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


@dataclass
class _Course:
    """How far an association got, noted by event handlers."""

    connected: bool = False
    closed: bool = False
    rejection: str = ""


class _NoContextAccepted(DeliveryError):
    """The peer accepted the association and none of its presentation contexts."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, for association control, for the answer to one object, for silence on the network."""

    connection: float = 10.0
    acse: float = 30.0
    dimse: float = 60.0
    network: float = 60.0


@dataclass(frozen=True)
class SendOutcome:
    """What became of one file.

    Attributes:
        path: as given.
        status: C-STORE status; 0x0122 (SOP class not supported) when the peer rejected the presentation context; None
            when no answer came: no association, a timeout, an unreadable file.
        ok: the peer holds the object, see `dicom_node.deliver.send.statuses`.
        detail: in words; empty after 0x0000.
        unsupported: UID of the SOP class that the peer does not take, with 0x0122; else empty.
    """

    path: Path
    status: int | None
    ok: bool
    detail: str
    unsupported: str = ""


def send_files(
    paths: Sequence[Path],
    destination: Receiver,
    progress: Callable[[int, int], None] | None = None,
    *,
    go_on: Callable[[SendOutcome], bool] | None = None,
    calling_ae_title: str = "WMHNODE",
    timeouts: Timeouts | None = None,
    tls: ClientTls | None = None,
) -> list[SendOutcome]:
    """Send files by C-STORE.

    A lost association is opened again for the files that are left, as long as the last one brought an answer.

    Args:
        paths: Part 10 files.
        destination: the peer.
        progress: called with (files dealt with, all files) after each file.
        go_on: asked after each file; where it says no, the files behind it are not tried. All are tried by default.
        calling_ae_title: our AE title.
        timeouts: how long to wait for the peer.
        tls: how to call it over TLS; None for without.

    Returns:
        One outcome per path, in the order of `paths`.
    """
    outcomes: dict[int, SendOutcome] = {}
    readable: dict[int, ObjectFile] = {}

    def note(index: int, outcome: SendOutcome) -> bool:
        outcomes[index] = outcome
        if progress is not None:
            progress(len(outcomes), len(paths))
        return go_on is None or go_on(outcome)

    for index, path in enumerate(paths):
        try:
            readable[index] = read_object_file(path)
        except DeliveryError as error:
            if not note(index, SendOutcome(path, None, False, str(error))):
                break
    index_of = {id(file): index for index, file in readable.items()}
    call = _Call(destination, calling_ae_title, timeouts or Timeouts(), tls)
    sending = _send_all(list(readable.values()), call)
    with closing(sending):  # which releases the association, also when we stop before the end
        for file, outcome in sending:
            if not note(index_of[id(file)], outcome):
                break
    for index, path in enumerate(paths):
        if index not in outcomes:
            note(index, SendOutcome(path, None, False, "not tried: a file before it was not stored"))
    return [outcomes[index] for index in range(len(paths))]


def echo(
    destination: Receiver,
    *,
    calling_ae_title: str = "WMHNODE",
    timeouts: Timeouts | None = None,
    tls: ClientTls | None = None,
) -> None:
    """Ask a peer for a sign of life by C-ECHO.

    Raises:
        DeliveryError: no association, or an answer other than 0x0000.
    """
    contexts = ((_VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN),)
    with _associated(_Call(destination, calling_ae_title, timeouts or Timeouts(), tls), contexts) as (association, _):
        try:
            status = _status_of(association.send_c_echo())
        except (RuntimeError, ValueError) as error:
            raise DeliveryError(f"{_name(destination)} takes no C-ECHO: {error}") from error
        if status != _SUCCESS:
            raise DeliveryError(f"{_name(destination)} answered C-ECHO with {words_of(status)}")


def rejected_classes(
    destination: Receiver,
    sop_classes: Sequence[str],
    *,
    calling_ae_title: str = "WMHNODE",
    timeouts: Timeouts | None = None,
    tls: ClientTls | None = None,
) -> tuple[str, ...]:
    """Propose SOP classes in one association, send nothing, and return those that the peer rejects.

    Raises:
        DeliveryError: no association.
    """
    syntaxes = (_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    contexts = [(sop_class, syntax) for sop_class in sop_classes for syntax in syntaxes]
    call = _Call(destination, calling_ae_title, timeouts or Timeouts(), tls)
    try:
        with _associated(call, contexts) as (association, _):
            accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    except _NoContextAccepted:
        accepted = set()
    return tuple(sop_class for sop_class in sop_classes if sop_class not in accepted)


@dataclass(frozen=True)
class _Call:
    """Whom to call, and how."""

    destination: Receiver
    calling_ae_title: str
    timeouts: Timeouts
    tls: ClientTls | None


def _send_all(files: Sequence[ObjectFile], call: _Call) -> Generator[tuple[ObjectFile, SendOutcome]]:
    for plan in plan_associations(files):
        yield from _send_plan(plan, call)


def _send_plan(plan: AssociationPlan, call: _Call) -> Iterator[tuple[ObjectFile, SendOutcome]]:
    """Send the files of one plan, in as many associations as it takes."""
    left = list(plan.files)
    while left:
        answered = False
        try:
            with _associated(call, plan.contexts) as (association, course):
                # pynetdicom may call an association established for a moment after its connection is gone.
                while left and association.is_established and not course.closed:
                    file = left.pop(0)
                    outcome = _send_one(association, file)
                    answered = answered or outcome.status is not None
                    yield file, outcome
        except _NoContextAccepted:
            for file in left:
                yield file, _unsupported(file)
            return
        except DeliveryError as error:
            for file in left:
                yield file, SendOutcome(file.path, None, False, str(error))
            return
        if not answered:
            for file in left:
                yield file, SendOutcome(file.path, None, False, "not tried: the association before brought no answer")
            return


@contextmanager
def _associated(call: _Call, contexts: Sequence[tuple[str, str]]) -> Iterator[tuple[Association, _Course]]:
    """An association that is released at the end, and how far it got.

    Raises:
        DeliveryError: why there is none.
    """
    destination, timeouts = call.destination, call.timeouts
    ae = AE(ae_title=call.calling_ae_title)
    ae.connection_timeout = timeouts.connection
    ae.acse_timeout = timeouts.acse
    ae.dimse_timeout = timeouts.dimse
    ae.network_timeout = timeouts.network
    course = _Course()
    handlers = [
        (evt.EVT_CONN_OPEN, _tune, [course, timeouts.network]),
        (evt.EVT_DATA_SENT, _acknowledge_at_once),
        (evt.EVT_REJECTED, _note_rejection, [course]),
        (evt.EVT_CONN_CLOSE, _stop_waiting, [course]),
    ]
    try:
        context = None if call.tls is None else reasoned_context(call.tls)
        association = ae.associate(
            destination.host,
            destination.port,
            contexts=[build_context(sop_class, syntax) for sop_class, syntax in contexts],
            ae_title=destination.ae_title,
            evt_handlers=handlers,
            tls_args=None if context is None else (context, destination.host),
        )
    except ConfigurationError as error:
        raise DeliveryError(str(error)) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise DeliveryError(f"{_name(destination)}: {error}") from error
    if not association.is_established:
        if len(association.rejected_contexts) == len(contexts):
            raise _NoContextAccepted(f"{_name(destination)} takes none of these objects")
        reason = (context.reason if context is not None else "") or _why_not(association, course)
        raise DeliveryError(f"{_name(destination)}: {reason}")
    try:
        yield association, course
    finally:
        if association.is_established and not course.closed:
            association.release()


def _send_one(association: Association, file: ObjectFile) -> SendOutcome:
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0])) for context in association.accepted_contexts
    }
    source: Any = None
    try:
        if (file.sop_class_uid, file.transfer_syntax_uid) in accepted:
            source = file.path if file.meta_agrees else dcmread(file.path)
        elif is_native(file.transfer_syntax_uid) and (file.sop_class_uid, IMPLICIT_VR_LITTLE_ENDIAN) in accepted:
            source = dcmread(file.path)
        else:
            takes_class = any(sop_class == file.sop_class_uid for sop_class, _ in accepted)
            return _in_another_syntax(file) if takes_class else _unsupported(file)
        status = _status_of(association.send_c_store(source))
    except OSError as error:
        return SendOutcome(file.path, None, False, f"cannot be read: {error.strerror}")
    except (RuntimeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        return SendOutcome(file.path, None, False, f"not sent: {type(error).__name__}")
    if status is None:
        return SendOutcome(file.path, None, False, "no answer: the peer was silent or ended the association")
    if status == _NOT_SUPPORTED:
        return _unsupported(file)
    ok = answer_of(status) is Answer.STORED
    return SendOutcome(file.path, status, ok, "" if status == _SUCCESS else words_of(status))


def _unsupported(file: ObjectFile) -> SendOutcome:
    detail = f"the peer takes no {words_of_class(file.sop_class_uid)}"
    return SendOutcome(file.path, _NOT_SUPPORTED, False, detail, file.sop_class_uid)


def _in_another_syntax(file: ObjectFile) -> SendOutcome:
    syntax = UID(file.transfer_syntax_uid).name
    detail = f"the peer takes no {words_of_class(file.sop_class_uid)} in transfer syntax {syntax}"
    return SendOutcome(file.path, _NOT_SUPPORTED, False, detail)


def _status_of(answer: Any) -> int | None:
    return int(answer.Status) if "Status" in answer else None


def _tune(event: Any, course: _Course, network_timeout: float) -> None:
    """Switch Nagle's algorithm off and let the kernel end a send that the peer does not take (EVT_CONN_OPEN).

    Answers go to us alone from here on: the association's thread does not run yet.
    """
    course.connected = True
    event.assoc.dimse = AnswersForTheAsker(event.assoc)
    connection = event.assoc.dul.socket.socket
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(network_timeout)  # Python's SSL would go on after the kernel's timeout
    else:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", max(int(network_timeout), 1), 0))
    event.assoc.dul._run_loop_delay = _LOOP_SECONDS


def _acknowledge_at_once(event: Any) -> None:
    """Acknowledge the answer's first piece as it comes (EVT_DATA_SENT); Linux forgets this setting all the time."""
    if _QUICKACK is not None:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def _stop_waiting(event: Any, course: _Course) -> None:
    """End a wait for an answer that cannot come any more (EVT_CONN_CLOSE); pynetdicom would wait for its timeout."""
    course.closed = True
    event.assoc.dimse.msg_queue.put((None, None))


def _note_rejection(event: Any, course: _Course) -> None:
    primitive = event.assoc.acceptor.primitive
    if primitive is not None and primitive.result is not None:
        course.rejection = f"rejected the association: {primitive.reason_str}"


def _why_not(association: Association, course: _Course) -> str:
    if not course.connected:
        return "no connection"
    if association.is_rejected:
        return course.rejection or "rejected the association"
    return "the association was aborted, or the peer was silent"


def _name(destination: Receiver) -> str:
    return f"{destination.ae_title}@{destination.host}:{destination.port}"
