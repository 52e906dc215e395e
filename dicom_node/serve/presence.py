"""A role makes itself known while it runs: to the service manager, and by heartbeats in the database."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

from db.errors import DatabaseError
from db.roles import RoleTable
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.sd_notify import ALIVE, READY, STOPPING, notify, watchdog_seconds
from dicom_node.node.version import SOFTWARE_VERSION

log = get_logger()

BEAT_SECONDS: Final = 10.0
# Of the watchdog's time: two reports may be late before the service manager acts (sd_watchdog_enabled(3)).
_WATCHDOG_SHARE: Final = 3


class Presence:
    """While the block lasts: heartbeats every ten seconds, and reports to a service manager where there is one.

    A role whose loops are stuck goes on with its heartbeats, which then say so, but no longer reports to the service
    manager, which then restarts it. A database that does not answer is no reason to be started again.

    Args:
        role: receive, work, deliver or web.
        table: where heartbeats are written.
        liveness: the role's own reports.
        beat_seconds: between two heartbeats.
    """

    def __init__(self, role: str, table: RoleTable, liveness: Liveness, beat_seconds: float = BEAT_SECONDS) -> None:
        self._role = role
        self._table = table
        self._liveness = liveness
        self._beat_seconds = beat_seconds
        self._stop = threading.Event()
        self._start_id: str | None = None
        self._is_silent = False
        # The watchdog has its own thread: a database may need half a minute to report that it is unavailable.
        bodies: dict[str, Callable[[], None]] = {"heartbeat of the role": self._beat, "service manager": self._report}
        self._threads = [threading.Thread(target=body, name=name, daemon=True) for name, body in bodies.items()]

    def __enter__(self) -> Presence:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        notify(STOPPING)
        self._stop.set()
        for thread in self._threads:
            thread.join(self._beat_seconds)
        if self._start_id is not None:
            with contextlib.suppress(DatabaseError):
                self._table.end(self._start_id)

    def _beat(self) -> None:
        while True:
            try:
                if self._start_id is None:
                    self._start_id = self._table.start(self._role, socket.gethostname(), os.getpid(), SOFTWARE_VERSION)
                self._table.beat(self._start_id, self._liveness.model_digest, self._liveness.trouble())
                self._is_silent = False
            except DatabaseError as error:
                if not self._is_silent:
                    log.warning("heartbeat not recorded, the database does not accept it", detail=str(error))
                self._is_silent = True
            if self._stop.wait(self._beat_seconds):
                return

    def _report(self) -> None:
        while not self._liveness.wait_until_ready(0.1):
            if self._stop.is_set():
                return
        notify(READY)
        limit = watchdog_seconds()
        if limit is None:
            return
        while not self._stop.wait(limit / _WATCHDOG_SHARE):
            trouble = self._liveness.trouble()
            if trouble is None:
                notify(ALIVE)
            else:
                log.error("a loop is stuck, the service manager will restart this role", trouble=trouble)
