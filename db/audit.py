"""The audit trail: what people did, what roles started, which images came and which results went; who, when, what.

Each row holds a hash over itself and the hash of the row before it, so that a row that is changed, removed or put in
later breaks the chain (`verify_chain`). Removing the newest rows shows only against a hash that was kept elsewhere: an
audit repository has every row, and `wmh-node audit verify` prints the newest hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from db.engine.database import Database
from db.engine.turns import take_turn
from db.engine.values import storable
from db.records import AuditEntry
from db.schema import audit

BACKUP: Final = "backup"
"""The action of a backup that is finished."""
RECEIVED: Final = "instances received"
SENT: Final = "results sent"
ROLE_STARTED: Final = "role started"
ROLE_ENDED: Final = "role ended"
OF_THE_NODE: Final = (RECEIVED, SENT, ROLE_STARTED, ROLE_ENDED)
"""Actions that no person took."""
FIRST_HASH: Final = ""
"""What the first row has in place of the hash of the row before it."""
_UNKNOWN: Final = "unknown"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What a look at the whole chain found.

    Attributes:
        entries: rows that were read; all of them when the chain is whole.
        head: hash of the newest row; empty without rows.
        broken_at: number of the first row that does not fit; None when the chain is whole.
        words: what is wrong with that row.
        holds: whether the hash that was asked for is in the chain; None when none was.
    """

    entries: int
    head: str
    broken_at: int | None = None
    words: str | None = None
    holds: bool | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing was changed, and the hash that was asked for is there."""
        return self.broken_at is None and self.holds is not False


def record_action(
    connection: Connection,
    at: datetime,
    who: str | None,
    action: str,
    job_id: int | None,
    detail: str,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write an action down, in the transaction that does it, as its last step: others wait for the chain's end.

    Args:
        about: for messages to an audit repository: `studies` (UIDs), `sop_classes` (counts by UID), `address`,
            `destination`; nothing of a patient.
    """
    take_turn(connection, "audit")
    before = connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
    values: dict[str, Any] = {
        "at": at,
        "who": storable(who or _UNKNOWN)[:255],
        "action": action,
        "job_id": job_id,
        "detail": storable(detail),
        "about": None if about is None else dict(about),
        "previous_hash": FIRST_HASH if before is None else before,
    }
    connection.execute(insert(audit), {**values, "hash": row_hash(values)})


def row_hash(values: Mapping[str, Any]) -> str:
    """SHA-256 of a row with the hash of the row before it, as hex. Never change this: rows of years depend on it."""
    at: datetime = values["at"]
    names = ("previous_hash", "who", "action", "job_id", "detail", "about")
    content = {"at": at.isoformat(timespec="microseconds"), **{name: values[name] for name in names}}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def verify_chain(database: Database, holds: str | None = None) -> ChainCheck:
    """Read every row and compute its hash again.

    Args:
        holds: a hash that was printed or exported earlier; the chain must still have it.
    """
    head, count = FIRST_HASH, 0
    found = None if holds is None else False
    for number, entry, previous, own in _rows(database, 0):
        if previous != head:
            words = "rows before it are missing, or were put in"
            return ChainCheck(count, head, number, words, found)
        values = {
            "at": entry.at, "who": entry.who, "action": entry.action, "job_id": entry.job_id, "detail": entry.detail,
            "about": None if entry.about is None else dict(entry.about), "previous_hash": previous,
        }  # fmt: skip
        if own != row_hash(values):
            return ChainCheck(count, head, number, "it was changed", found)
        head, count = own, count + 1
        if holds == own:
            found = True
    return ChainCheck(count, head, holds=found)


def entries_after(database: Database, number: int, limit: int) -> list[tuple[int, AuditEntry]]:
    """Rows with a higher number, oldest first."""
    found = []
    for one, entry, _, _ in _rows(database, number, limit):
        found.append((one, entry))
        if len(found) == limit:
            break
    return found


def audit_entries(database: Database, limit: int | None = None, *, everything: bool = False) -> list[AuditEntry]:
    """What people did, newest first; with `everything` also transfers, and starts and ends of roles."""
    query = select(*_ENTRY).order_by(audit.c.id.desc())
    if not everything:
        query = query.where(audit.c.action.not_in(OF_THE_NODE))
    if limit is not None:
        query = query.limit(limit)
    with database.read() as connection:
        return [AuditEntry(*row) for row in connection.execute(query)]


_ENTRY: Final = (audit.c.at, audit.c.who, audit.c.action, audit.c.job_id, audit.c.detail, audit.c.about)


def _rows(database: Database, after: int, batch: int = _BATCH) -> Iterator[tuple[int, AuditEntry, str, str]]:
    """Number, entry, hash of the row before, hash; in short transactions, since a reader must not hold up others."""
    query = select(audit.c.id, audit.c.previous_hash, audit.c.hash, *_ENTRY).order_by(audit.c.id).limit(batch)
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(audit.c.id > after)).all()
        for row in rows:
            yield row.id, AuditEntry(*row[3:]), row.previous_hash, row.hash
        if len(rows) < batch:
            return
        after = rows[-1].id
