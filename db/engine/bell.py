"""A bell between processes: who waits for work hears at once that there is some.

Nothing depends on it: a ring may be lost, so whoever listens also looks now and then. PostgreSQL carries rings by
NOTIFY and LISTEN; beside an SQLite file each listener has a named pipe of its own in `<file>-wake`.
"""

from __future__ import annotations

import errno
import os
import secrets
import select
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

_CHANNEL: Final = "wmh_node_wake"
_LOOK_SECONDS: Final = 0.5  # between looks whether to go on listening
# Of one kind at most so many rings a second: a burst finds its listener awake, and PostgreSQL hands notifications out
# one transaction at a time.
_APART_SECONDS: Final = 0.05


class Wake(StrEnum):
    """What there is to do."""

    SERIES = "series"
    JOBS = "jobs"
    DELIVERIES = "deliveries"


class Bell:
    """Rings and is heard in every process that has the same database.

    Args:
        engine: of that database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._folder = Path(f"{engine.url.database}-wake")
        self._rung: dict[Wake, float] = {}

    def ring(self, what: Wake) -> None:
        """Say that there is something to do; for after the commit. Never raises for want of a listener or database."""
        now = time.monotonic()
        if now - self._rung.get(what, -_APART_SECONDS) < _APART_SECONDS:
            return
        self._rung[what] = now
        with suppress(OSError, SQLAlchemyError):
            (self._ring_pipes if self._is_sqlite else self._notify)(what)

    def _notify(self, what: Wake) -> None:
        with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_notify('{_CHANNEL}', %s)", (what.value,))

    def _ring_pipes(self, what: Wake) -> None:
        for pipe in self._folder.glob("*.pipe"):
            with suppress(OSError):  # trouble with one pipe keeps no other listener from hearing
                _ring_pipe(pipe, f"{what.value}\n".encode())

    def listen(self, goes_on: Callable[[], bool]) -> Iterator[Wake]:
        """What there is to do, as it is rung, for as long as `goes_on`.

        Raises:
            OSError, SQLAlchemyError: nothing can be heard at the moment.
        """
        return self._hear_pipe(goes_on) if self._is_sqlite else self._hear_notifications(goes_on)

    def _hear_pipe(self, goes_on: Callable[[], bool]) -> Iterator[Wake]:
        with _own_pipe(self._folder) as descriptor:
            while goes_on():
                if select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
                    yield from _known(os.read(descriptor, 65_536).decode("ascii", "replace").split())

    def _hear_notifications(self, goes_on: Callable[[], bool]) -> Iterator[Wake]:
        with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            driver: Any = connection.connection.driver_connection
            dbapi: Any = self._engine.dialect.dbapi
            try:
                driver.execute(f"LISTEN {_CHANNEL}")
                while goes_on():
                    for notification in driver.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                        yield from _known([notification.payload])
            except dbapi.Error as error:  # the driver's own: SQLAlchemy translates only what goes through it
                raise ConnectionError("the server has ended the connection that listens") from error
            finally:
                connection.invalidate()  # a connection that listens serves no one else


def _ring_pipe(pipe: Path, word: bytes) -> None:
    """Write into a pipe, whose listener may be gone or have much to wake up for: then it is full, and says so."""
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO:  # its listener was killed; any other error is ours, and the listener lives
            pipe.unlink(missing_ok=True)
        return
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.write(descriptor, word)
    finally:
        os.close(descriptor)


@contextmanager
def _own_pipe(folder: Path) -> Iterator[int]:
    """A named pipe of this listener, open to read and never at its end; it gets its name when it is open."""
    folder.mkdir(exist_ok=True)
    made = folder / f".{secrets.token_hex(8)}"
    named = made.with_name(f"{os.getpid()}-{made.name[1:]}.pipe")
    os.mkfifo(made)
    try:
        descriptor = os.open(made, os.O_RDWR | os.O_NONBLOCK)
        try:
            made.rename(named)
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        made.unlink(missing_ok=True)
        named.unlink(missing_ok=True)


def _known(words: list[str]) -> Iterator[Wake]:
    """Rings that this version knows."""
    return (Wake(word) for word in words if word in set(Wake))
