"""One transaction at a time, for what reads rows and writes what follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from db.engine.database import Database


def take_turn(connection: Connection, what: str) -> None:
    """Wait until no other transaction has the turn for `what`, and keep it until this one ends.

    SQLite has one writer anyway. PostgreSQL: an advisory lock (13.3.5), whose number is made from the name.
    """
    if connection.dialect.name == "sqlite":
        return
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key(what)})


@contextmanager
def turn_if_free(database: Database, what: str) -> Iterator[bool]:
    """Whether no other process has the turn for `what`; it is kept until the block ends, or the process does.

    For work that takes long: only a reading transaction stays open. SQLite: one machine, where a second `serve` on the
    same STORAGE is refused.
    """
    if database.is_sqlite:
        yield True
        return
    with database.read() as connection:
        taken = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _key(what)})
        yield bool(taken.scalar_one())


def _key(what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"wmh-node {what}".encode()).digest()[:8], "big", signed=True)
