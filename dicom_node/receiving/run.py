"""The receiver as a whole: one process, or several that share one listening socket.

Several processes get the socket by inheritance, not by SO_REUSEPORT: nobody else can join the port, connections that
wait in the backlog outlive a crashed process, and idle processes take turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Final

import structlog

from dicom_node.errors import ReceivingError
from dicom_node.receiving.acceptor import Acceptor, open_listener
from dicom_node.receiving.association import Surroundings
from dicom_node.receiving.connections import Connections
from dicom_node.receiving.incoming import Room
from dicom_node.receiving.negotiation import Admission
from dicom_node.receiving.receiver_settings import ReceiverSettings
from dicom_node.receiving.store import Rows, Store, sync_folder

if TYPE_CHECKING:
    from dicom_node.settings import Settings

_LOG = structlog.get_logger()

_RESTART_SECONDS: Final = 1.0


def run_receiver(settings: Settings, stop: threading.Event) -> None:
    """Receive until `stop` is set; objects under way are finished or aborted before this returns.

    Raises:
        ReceivingError: the port is taken, or another receiver works on the same storage under the same name.
        ConfigurationError: a setting is out of range.
    """
    receive(ReceiverSettings.of(settings), stop)


def receive(settings: ReceiverSettings, stop: threading.Event) -> None:
    """`run_receiver` for settings that are the receiver's already."""
    with contextlib.closing(open_listener(settings.bind, settings.port)) as listener:
        if settings.processes == 1:
            serve(settings, listener, stop)
        else:
            _supervise(settings, listener, stop)


def serve(settings: ReceiverSettings, listener: socket.socket, stop: threading.Event) -> None:
    """Receive in this process on a socket that listens, until `stop` is set.

    Raises:
        ReceivingError: nothing can be accepted any more, or see `run_receiver`.
    """
    deaf = threading.Event()

    def end() -> None:
        deaf.set()
        stop.set()

    with _prepared(settings) as prefix, _rows(settings.database_url) as rows:
        rows.end_orphans(settings.receiver)
        lock = settings.inbox / "tmp" / "rows.lock" if _shares_sqlite(settings) else None
        surroundings = Surroundings(
            settings=settings,
            admission=Admission(settings.ae_title, settings.peers),
            connections=Connections(
                settings.max_waiting,
                settings.max_waiting_per_address,
                settings.max_associations,
                settings.reclaim_idle_seconds,
            ),
            store=Store(settings.storage, rows, lock),
            room=Room(settings.inbox / "tmp", settings.max_object_bytes, settings.reserve_bytes),
            temporary_prefix=prefix,
        )
        acceptor = Acceptor(listener, surroundings, end)
        acceptor.start()
        _LOG.info("receiver listens", ae_title=settings.ae_title, bind=settings.bind, port=settings.port)
        stop.wait()
        acceptor.stop(settings.grace_seconds)
        _LOG.info("receiver stopped", port=settings.port)
    if deaf.is_set():
        raise ReceivingError(f"the receiver accepts no connections on port {settings.port} any more: start it again")


def _shares_sqlite(settings: ReceiverSettings) -> bool:
    return settings.processes > 1 and settings.database_url.startswith("sqlite")


@contextlib.contextmanager
def _rows(url: str) -> Iterator[Rows]:
    from db.engine import open_database
    from db.inbox import Inbox

    with contextlib.closing(open_database(url)) as database:
        yield Inbox(database)


@contextlib.contextmanager
def _prepared(settings: ReceiverSettings) -> Iterator[str]:
    """Make the folders, claim the receiver's name, remove what a killed predecessor left; gives our file prefix.

    The claim is a lock on a file, which the kernel drops with the process: so what lies under our prefix at start
    belongs to nobody.
    """
    folder = settings.inbox / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    sync_folder(settings.storage)
    sync_folder(settings.inbox)
    name = re.sub(r"[^A-Za-z0-9]", "_", settings.receiver)
    with (folder / f"{name}.lock").open("wb") as lock:
        _claim(lock, settings)
        prefix = f"{name}-"
        stale = list(folder.glob(f"{prefix}*.part"))
        for path in stale:
            path.unlink(missing_ok=True)
        if stale:
            _LOG.info("removed unfinished objects of an earlier run", count=len(stale))
        yield prefix


def _claim(lock: IO[bytes], settings: ReceiverSettings) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        message = (
            f"another receiver runs as {settings.receiver} on {settings.storage}: "
            "stop it, or give this one another AE title, port or storage"
        )
        raise ReceivingError(message) from error


# Several processes


def _supervise(settings: ReceiverSettings, listener: socket.socket, stop: threading.Event) -> None:
    """Keep `settings.processes` receiver processes running on one socket."""
    children = [_Child(replace(settings, index=index), listener) for index in range(settings.processes)]
    try:
        for child in children:
            child.start()
        while not stop.wait(_RESTART_SECONDS):
            for child in children:
                child.restart_if_dead()
    finally:
        for child in children:
            child.tell_to_stop()
        listener.close()  # each process closes its own handle; with the last of them the port is free
        for child in children:
            child.wait(settings.grace_seconds + 5.0)


class _Child:
    """One receiver process. Its standard input carries the settings (a database URL may hold a password) and, by
    ending, the order to stop; so it also stops when this process is killed."""

    def __init__(self, settings: ReceiverSettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it accepts as soon as it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dicom_node.receiving", str(self._listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal is for the parent, which stops us in order
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._settings.to_json().encode() + b"\n")
            self._process.stdin.flush()

    def restart_if_dead(self) -> None:
        """Start it again when it has ended on its own."""
        assert self._process is not None
        code = self._process.poll()
        if code is not None:
            _LOG.error("receiver process ended, starting it again", receiver=self._settings.receiver, code=code)
            self._process.stdin.close() if self._process.stdin else None
            self.start()

    def tell_to_stop(self) -> None:
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


def run_child(descriptor: int) -> None:
    """What a receiver process of several does: `python -m dicom_node.receiving DESCRIPTOR`, settings on stdin."""
    from dicom_node.logs import configure_logs

    settings = ReceiverSettings.from_json(sys.stdin.readline())
    configure_logs(settings.log_level, "json" if settings.log_format == "json" else "text", receiver=settings.index)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    with contextlib.closing(socket.socket(fileno=descriptor)) as listener:
        serve(settings, listener, stop)


def _stop_at_end_of_input(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
