"""SQLAlchemy's errors become ours at this border, with what to do and without passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError as PlainDatabaseError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db.engine.url import shown
from db.errors import DatabaseError, DatabaseUnavailable, SchemaOutOfDate

_UPGRADE: Final = "run `wmh-node db upgrade`"
# SQLite gives only text; PostgreSQL gives an SQLSTATE: undefined_table, undefined_column.
_SQLITE_SCHEMA: Final = ("no such table", "no such column", "has no column named")
_POSTGRESQL_SCHEMA: Final = frozenset({"42P01", "42703"})

_ADVICE: Final = (
    ("database is locked", "another program has locked it; stop that program, or use PostgreSQL for several machines"),
    ("lock timeout", "another session has locked the rows; find it in pg_stat_activity"),
    ("unable to open database file", "check that the folder exists and that this user may write to it"),
    ("disk is full", "free some space"),
    ("disk I/O error", "check the disk"),
    ("readonly", "check that this user may write to the file and its folder"),
    ("malformed", "the file is damaged: stop the node, keep a copy, and restore a backup"),
    ("not a database", "the file is not an SQLite database: check the path in WMH_NODE_DATABASE_URL"),
    ("password authentication failed", "check the user and password in WMH_NODE_DATABASE_URL"),
    ("does not exist", "create it first, or check the name in WMH_NODE_DATABASE_URL"),
    ("connection", "check that the server is running and reachable from this machine"),
)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Let errors of the database out as `DatabaseError`."""
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailable(f"{shown(url)}: all connections are in use; try again") from error
    except DBAPIError as error:
        raise _translate(url, error) from error


def _translate(url: URL, error: DBAPIError) -> DatabaseError:
    cause = error.orig
    text = " ".join(str(cause).split())
    if _is_schema(cause, text):
        return SchemaOutOfDate(f"{shown(url)}: the schema is not what this version needs ({text}); {_UPGRADE}")
    # A damaged or foreign SQLite file raises the base class.
    is_plain = type(error) is PlainDatabaseError
    if error.connection_invalidated or is_plain or isinstance(error, OperationalError | InterfaceError):
        advice = next(
            (advice for sign, advice in _ADVICE if sign in text),
            "try again; if the error persists, read the database's log",
        )
        return DatabaseUnavailable(f"{shown(url)} cannot be used: {text}; {advice}")
    return DatabaseError(f"{shown(url)}: {type(error).__name__}: {text}")


def _is_schema(cause: BaseException | None, text: str) -> bool:
    if any(sign in text for sign in _SQLITE_SCHEMA):
        return True
    return getattr(cause, "sqlstate", None) in _POSTGRESQL_SCHEMA
