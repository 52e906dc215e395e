"""The receiver as a whole: one process, or several that share one listening socket.

Several processes get the socket by inheritance, not by SO_REUSEPORT: no other program can join the port, connections
that wait in the backlog outlive a crashed process, and idle processes take turns.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_node.node.backoff import RestartBackoff
from dicom_node.node.errors import ConfigurationError, ReceivingError
from dicom_node.node.files import make_folder, sync_file, sync_folder
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.stop_signals import set_by_signals
from dicom_node.node.tls import ServerContext, TlsFiles, inspect
from dicom_node.receive.acceptor import Acceptor, Listener, open_listener
from dicom_node.receive.association import ReceiverContext
from dicom_node.receive.claim import claimed
from dicom_node.receive.commitment import CommitmentDesk
from dicom_node.receive.connections import Connections
from dicom_node.receive.incoming import DiskBudget
from dicom_node.receive.installation import installation_id
from dicom_node.receive.negotiation import Admission
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.receive.rejections import RejectedContexts
from dicom_node.receive.store import Store

if TYPE_CHECKING:
    from db.inbox import Inbox
    from dicom_node.node.settings import Settings

_LOG = get_logger()

_LOOK_SECONDS: Final = 0.2
_SIGNAL_SECONDS: Final = 1.0
_RENEW_DAYS: Final = 30
_STUCK_SECONDS: Final = 60.0


def run_receiver(settings: Settings, stop: threading.Event, liveness: Liveness | None = None) -> None:
    """Receive until `stop` is set; objects under way are finished or aborted before this returns.

    Raises:
        ReceivingError: the port is taken, or another receiver works on the same storage under the same name.
        ConfigurationError: a setting is out of range.
    """
    receive(ReceiverSettings.of(settings), stop, liveness)


def receive(settings: ReceiverSettings, stop: threading.Event, liveness: Liveness | None = None) -> None:
    """`run_receiver` for settings that are the receiver's already."""
    if settings.tls is not None:
        _look_at_certificate(settings.tls)
    _require_storage_and_database(settings)
    with contextlib.ExitStack() as opened:
        listener = tls_listener = None
        if settings.port:
            listener = opened.enter_context(open_listener(settings.bind, settings.port))
        if settings.tls_port:
            tls_listener = opened.enter_context(open_listener(settings.bind, settings.tls_port, "dicom_tls_port"))
        (serve if settings.processes == 1 else _supervise)(settings, listener, stop, tls_listener, liveness)


def _require_storage_and_database(settings: ReceiverSettings) -> None:
    """A port that is open means that objects can be kept: storage and database answer before it opens.

    Raises:
        OSError, DatabaseError: what does not answer, or has the schema of another version.
    """
    from db.engine.schema_version import check as check_schema
    from db.errors import SchemaOutOfDate

    _require_room(_make_folders(settings))
    with _rows(settings.database_url) as rows:
        rows.require_answer()
    status = check_schema(settings.database_url)
    if not status.is_current:
        raise SchemaOutOfDate(f"the database's schema is not current ({status}): {status.remedy}")


def serve(
    settings: ReceiverSettings,
    listener: socket.socket | None,
    stop: threading.Event,
    tls_listener: socket.socket | None = None,
    liveness: Liveness | None = None,
) -> None:
    """Receive in this process on sockets that listen, until `stop` is set.

    Args:
        settings: the receiver's.
        listener: for DICOM without TLS; None when that is closed.
        stop: set when it is time to end.
        tls_listener: for DICOM over TLS; None when that is closed.
        liveness: receives the state of this role; None: the state is not asked for.

    Raises:
        ReceivingError: nothing can be accepted any more, or see `run_receiver`.
    """
    listeners = [] if listener is None else [Listener(listener)]
    if tls_listener is not None:
        assert settings.tls is not None
        listeners.append(Listener(tls_listener, ServerContext(settings.tls)))
    deaf = threading.Event()

    def end() -> None:
        deaf.set()
        stop.set()

    folder = _make_folders(settings)
    settings = replace(settings, installation=installation_id(settings.storage))
    with _rows(settings.database_url) as rows, claimed(folder, settings.receiver, rows) as prefix:
        lock = folder / "rows.lock" if _shares_sqlite(settings) else None
        store = Store(settings.storage, rows, prefix, lock)
        context = ReceiverContext(
            settings=settings,
            admission=Admission(settings.ae_title, settings.peers),
            connections=Connections(
                settings.max_waiting,
                settings.max_waiting_per_address,
                settings.max_associations,
                settings.reclaim_idle_seconds,
                settings.slow_bytes_per_second,
                max_per_address=settings.max_associations_per_address,
            ),
            store=store,
            commitments=_commitments(settings, rows, store),
            budget=DiskBudget(folder, settings.max_object_bytes, settings.reserve_bytes, settings.full_percent),
            rejections=RejectedContexts(),
            temporary_prefix=prefix,
        )
        acceptor = Acceptor(listeners, context, end)
        acceptor.start()
        ports = {"port": settings.port or None, "tls_port": settings.tls_port or None}
        ports = {name: port for name, port in ports.items() if port is not None}
        _LOG.info("receiver listens", ae_title=settings.ae_title, bind=settings.bind, **ports)
        moved = _listening(liveness)
        while not stop.wait(_SIGNAL_SECONDS):  # a signal that another thread took is acted on when this one wakes
            moved()
        acceptor.stop(settings.grace_seconds)
        context.store.close()
        _LOG.info("receiver stopped", **ports)
    if deaf.is_set():
        where = " or ".join(str(port) for port in ports.values())
        raise ReceivingError(f"the receiver no longer accepts connections on port {where}: restart it")


def _commitments(settings: ReceiverSettings, rows: Inbox, store: Store) -> CommitmentDesk:
    from db.commitment_answers import CommitmentAnswerTable
    from db.proofs import ProofTable

    proofs, answers = ProofTable(rows.database), CommitmentAnswerTable(rows.database)
    return CommitmentDesk(proofs, answers, store.exclusive, settings.reported_separately)


def _look_at_certificate(tls: TlsFiles) -> None:
    """Say in the log what an administrator has to do about the certificate; only files that cannot work end us."""
    ServerContext(tls)
    try:
        left = inspect(tls, as_server=True).days_left()
    except ConfigurationError as error:
        _LOG.error("peers will reject our certificate", reason=str(error))
        return
    if left < _RENEW_DAYS:
        _LOG.warning("our TLS certificate expires soon", days_left=left, certificate=str(tls.certificate))


def _shares_sqlite(settings: ReceiverSettings) -> bool:
    return settings.processes > 1 and settings.database_url.startswith("sqlite")


@contextlib.contextmanager
def _rows(url: str) -> Iterator[Inbox]:
    from db.engine import open_database
    from db.inbox import Inbox

    with contextlib.closing(open_database(url)) as database:
        yield Inbox(database)


def _make_folders(settings: ReceiverSettings) -> Path:
    """The folder of unfinished objects; it and the ones above it are on disk."""
    folder = settings.inbox / "tmp"
    make_folder(folder)
    sync_folder(settings.storage)
    sync_folder(settings.inbox)
    return folder


def _require_room(folder: Path) -> None:
    """A disk that is full or read-only has its folders, and takes no byte."""
    probe = folder / f"probe-{os.getpid()}"
    try:
        probe.write_bytes(b"x")
        sync_file(probe)
    except OSError as error:  # a write names no file
        number = error.errno or 0
        raise OSError(number, f"the storage takes no file: {os.strerror(number)}; make room", str(folder)) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _listening(liveness: Liveness | None) -> Callable[[], None]:
    """Say that we listen; gives what to call at each turn of the loop."""
    if liveness is None:
        return lambda: None
    liveness.report_ready()
    return liveness.loop("receiving", _STUCK_SECONDS)


# Several processes


def _supervise(
    settings: ReceiverSettings,
    listener: socket.socket | None,
    stop: threading.Event,
    tls_listener: socket.socket | None,
    liveness: Liveness | None = None,
) -> None:
    """Keep `settings.processes` receiver processes running on the same sockets."""
    listeners = [listener, tls_listener]
    children = [_Child(replace(settings, index=index), listeners) for index in range(settings.processes)]
    try:
        for child in children:
            child.start()
        moved = _listening(liveness)
        while not stop.wait(_LOOK_SECONDS):
            moved()
            for child in children:
                child.look_after()
    finally:
        for child in children:
            child.ask_to_stop()
        for open_listener in listeners:
            if open_listener is not None:
                open_listener.close()  # each process closes its own handle; with the last of them the port is free
        for child in children:
            child.wait(settings.grace_seconds + 5.0)


_CLOSED: Final = -1  # in place of a listening socket's descriptor


class _Child:
    """One receiver process. Its standard input carries the settings (a database URL may hold a password) and, by
    ending, the order to stop; so it also stops when this process is killed."""

    def __init__(self, settings: ReceiverSettings, listeners: Sequence[socket.socket | None]) -> None:
        self._settings = settings
        self._descriptors = [_CLOSED if listener is None else listener.fileno() for listener in listeners]
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = RestartBackoff()
        self._started_at = 0.0
        self._waited_seconds: float | None = None
        self._start_again_at: float | None = None

    def start(self) -> None:
        """Start the process; it accepts as soon as it is ready."""
        self._started_at, self._start_again_at = time.monotonic(), None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dicom_node.receive", *map(str, self._descriptors)],
            stdin=subprocess.PIPE,
            pass_fds=[descriptor for descriptor in self._descriptors if descriptor != _CLOSED],
            start_new_session=True,  # Ctrl-C in a terminal is for the parent, which stops us in order
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._settings.to_json().encode() + b"\n")
            self._process.stdin.flush()

    def look_after(self) -> None:
        """Start it again when it has ended on its own: soon the first time, then less and less often."""
        assert self._process is not None
        code, now = self._process.poll(), time.monotonic()
        if code is None:
            return
        if self._start_again_at is None:
            self.ask_to_stop()  # closes our end of its input
            self._waited_seconds = self._backoff.next(self._waited_seconds, now - self._started_at)
            self._start_again_at = now + self._waited_seconds
            _LOG.error(
                "receiver process ended",
                receiver=self._settings.receiver,
                code=code,
                start_again_in_seconds=self._waited_seconds,
            )
        elif now >= self._start_again_at:
            self.start()

    def ask_to_stop(self) -> None:
        """Ask it to stop."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end; kill it after `seconds`."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_child(descriptor: int, tls_descriptor: int = _CLOSED) -> None:
    """What a receiver process of several does, with its settings on stdin.

    `python -m dicom_node.receive DESCRIPTOR TLS_DESCRIPTOR`: of the listening sockets, -1 for one that is closed.
    """
    from dicom_node.node.logs import configure_logs

    settings = ReceiverSettings.from_json(sys.stdin.readline())
    configure_logs(settings.log_level, "json" if settings.log_format == "json" else "text", receiver=settings.index)
    stop = threading.Event()
    set_by_signals(stop, signal.SIGTERM, is_patient=True)
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    with contextlib.ExitStack() as opened:
        listener, tls_listener = (
            None if number == _CLOSED else opened.enter_context(socket.socket(fileno=number))
            for number in (descriptor, tls_descriptor)
        )
        try:
            serve(settings, listener, stop, tls_listener)
        except (ReceivingError, ConfigurationError) as error:
            _LOG.error("receiver process cannot continue", reason=str(error))
            raise SystemExit(1) from error


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
