"""Opening the database: SQLite for one machine, PostgreSQL for several.

| promise                          | SQLite                                   | PostgreSQL                             |
|----------------------------------|------------------------------------------|----------------------------------------|
| a commit survives a power cut    | WAL, `synchronous=FULL` (sqlite.org/wal) | `synchronous_commit` not `off`         |
| readers do not wait for writers  | WAL snapshots                            | MVCC                                   |
| a writer never deadlocks         | `BEGIN IMMEDIATE`: one at a time         | rows are locked in one order           |
| a writer waits, but not for ever | 30 s                                     | `lock_timeout`, 30 s where none is set |
"""

from __future__ import annotations

import math
import os
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import InvalidatePoolError

from db.engine.bell import Bell, Wake
from db.engine.translation import translated
from db.engine.url import parse_url, shown

Clock = Callable[[], datetime]

# A commit that waits for others needs milliseconds; more only when the disk or another program has a fault.
_BUSY_SECONDS: Final = 30.0
# A server or network that vanishes is noticed within half a minute, not after the kernel's quarter of an hour
# (libpq 34.1.2, connection parameters).
_NETWORK: Final = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
_WRITER_NAP_MS: Final = 3
_WRITE: Final = "wmh_write"
_USED_AT: Final = "wmh_used_at"
# A connection that was idle for less is asked nothing before it is used, as long as the server has not closed it.
_TRUSTED_SECONDS: Final = 10.0


def utc_now() -> datetime:
    """The clock used where a caller gives none."""
    return datetime.now(UTC)


class Database:
    """Connections to one database; made by `open_database`. Share it between threads, never across a fork.

    SQLite has one writer at a time whatever we do, so its writing connection is kept open, and threads queue for it
    here, where they are woken, rather than in SQLite, where they would sleep and ask again.

    Attributes:
        clock: gives the time of every row; UTC.
        bell: wakes who waits for work.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")  # shares the connections
        self._writing = threading.Lock()
        self._writer: Connection | None = None
        self.clock = clock
        self.bell = Bell(engine)

    def __repr__(self) -> str:
        return f"Database({shown(self._engine.url)})"

    @property
    def is_sqlite(self) -> bool:
        """True for SQLite, False for PostgreSQL."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and so never waits.

        Raises:
            DatabaseUnavailable, SchemaOutOfDate: see `db.engine.translation`.
        """
        with translated(self._engine.url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self, wakes: Wake | None = None) -> Iterator[Connection]:
        """A transaction that writes: durable when the block has ended, undone when it raises.

        Args:
            wakes: who has something to do after it.

        Raises:
            DatabaseUnavailable, SchemaOutOfDate: see `db.engine.translation`.
        """
        with translated(self._engine.url), self._ringing(wakes):
            if not self.is_sqlite:
                with self._engine.begin() as connection:
                    yield connection
                return
            with self._writing:
                if self._writer is None:
                    self._writer = _connect_writer(self._engine)
                try:
                    with self._writer.begin():
                        yield self._writer
                finally:
                    if self._writer.in_transaction():  # it could not even be undone: begin afresh next time
                        self._writer.invalidate()
                        self._writer.close()
                        self._writer = None

    @contextmanager
    def single(self, wakes: Wake | None = None) -> Iterator[Connection]:
        """PostgreSQL only: each statement is a transaction of its own, durable when it returns; one round trip each.

        Args:
            wakes: as in `write`.

        Raises:
            DatabaseUnavailable, SchemaOutOfDate: see `db.engine.translation`.
        """
        with translated(self._engine.url), self._ringing(wakes), self._single.connect() as connection:
            yield connection

    @contextmanager
    def _ringing(self, wakes: Wake | None) -> Iterator[None]:
        """Ring when the block has ended well."""
        yield
        if wakes is not None:
            self.bell.ring(wakes)

    def close(self) -> None:
        """Close every connection; the database may be used again after, which opens new ones."""
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._engine.dispose()


def open_database(url: str, clock: Clock = utc_now) -> Database:
    """Open a database; connects at first use.

    Args:
        url: `sqlite:////absolute/path.sqlite` or `postgresql://USER:PASSWORD@HOST/NAME`.
        clock: gives now, with time zone UTC.

    Raises:
        InvalidDatabaseUrl: see `db.engine.url.parse_url`.
    """
    return Database(make_engine(parse_url(url)), clock)


def make_engine(url: URL) -> Engine:
    """An engine with the settings of the table above."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    wanted = {name: value for name, value in _NETWORK.items() if name not in url.query}
    engine = create_engine(url, connect_args=wanted)
    event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_require_answer, engine))
    return engine


def make_folder(url: URL) -> None:
    """Make the folder of an SQLite file, durable: SQLite flushes the file's own folder, but not the ones above it."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    missing = []
    folder = Path(url.database).absolute().parent
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        descriptor = os.open(parent.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own would be deferred, and deadlock
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """WAL is a property of the file. The very first switch does not wait for others that do the same: ask again."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _connect_writer(engine: Engine) -> Connection:
    connection = engine.connect().execution_options(**{_WRITE: True})
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout={_WRITER_NAP_MS}")
    return connection


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get(_WRITE, False):
        connection.exec_driver_sql("BEGIN")
        return
    # Another process writes: ask every few milliseconds. SQLite's own waiting sleeps up to 100 ms at a time, and the
    # receiver answers no C-STORE meanwhile.
    driver: Any = connection.connection.driver_connection
    deadline = time.monotonic() + _BUSY_SECONDS
    while time.monotonic() < deadline:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                break
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, so that the error comes as all others do


def _note_use(_connection: Any, record: Any) -> None:
    record.info[_USED_AT] = time.monotonic()


def _require_answer(engine: Engine, connection: Any, record: Any, _proxy: object) -> None:
    """Replace connections that a restarted server has closed, so that no caller gets an error for it.

    SQLAlchemy's own `pool_pre_ping` asks the server every time, a round trip for each transaction. A server that goes
    ends its connections, which this end can see without asking; only one that was idle for long is asked.
    """
    is_fresh = time.monotonic() - record.info.get(_USED_AT, -math.inf) < _TRUSTED_SECONDS
    if is_fresh and not select.select([connection.fileno()], [], [], 0)[0]:
        return
    try:
        engine.dialect.do_ping(connection)
    except Exception as error:
        raise InvalidatePoolError("the server has closed this connection") from error


def _set_up_postgresql(connection: Any, _record: object) -> None:
    """Durable commits and no endless waits, where the administrator has not set something else.

    `synchronous_commit = off` would let 0x0000 out before the row is safe; every other value is theirs to choose. JIT
    goes by the estimated cost, which a long history raises, and costs more than any of our queries takes.
    """
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] == "off":
            cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SHOW lock_timeout")
        if cursor.fetchone()[0] == "0":
            cursor.execute(f"SET lock_timeout TO {int(_BUSY_SECONDS * 1000)}")
        cursor.execute("SET jit TO off")
    connection.commit()
