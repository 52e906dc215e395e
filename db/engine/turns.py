"""One transaction at a time, for what reads rows and writes what follows from them."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, text


def take_turn(connection: Connection, what: str) -> None:
    """Wait until no other transaction has the turn for `what`, and keep it until this one ends.

    SQLite has one writer anyway. PostgreSQL: an advisory lock (13.3.5), whose number is made from the name.
    """
    if connection.dialect.name == "sqlite":
        return
    key = int.from_bytes(hashlib.sha256(f"wmh-node {what}".encode()).digest()[:8], "big", signed=True)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
