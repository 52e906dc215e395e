"""Wakes the loops of a role when another process has work for them; without it they look twice a second."""

from __future__ import annotations

import threading
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from db.engine import Database
from db.engine.bell import Wake
from db.errors import DatabaseError
from dicom_node.node.logger import get_logger

log = get_logger()

_AGAIN_SECONDS: Final = 5.0


class WakeUps:
    """Hears the rings of one database. `run` is a thread's body; the others wait on their own `event`.

    Args:
        stop: ends `run`, which then wakes everybody.
    """

    def __init__(self, database: Database, stop: threading.Event) -> None:
        self._database = database
        self._stop = stop
        self._events: list[tuple[Wake, threading.Event]] = []

    def event(self, what: Wake) -> threading.Event:
        """An event of one loop, set whenever that is rung; ask for it before `run` begins."""
        self._events.append((what, event := threading.Event()))
        return event

    def run(self) -> None:
        """Listen until the role stops. A database that cannot be heard is tried again: the loops look by themselves."""
        try:
            while not self._stop.is_set():
                self._hear()
        finally:
            self._wake(None)

    def _hear(self) -> None:
        try:
            for what in self._database.bell.listen(lambda: not self._stop.is_set()):
                self._wake(what)
        except (OSError, SQLAlchemyError, DatabaseError) as error:
            log.debug("not woken by other processes", detail=type(error).__name__, again_in_seconds=_AGAIN_SECONDS)
            self._stop.wait(_AGAIN_SECONDS)

    def _wake(self, what: Wake | None) -> None:
        for wanted, event in self._events:
            if what in (None, wanted):
                event.set()
