"""The audit trail: what people did, what roles started, which images came and which results went; who, when, what.

Each row holds a hash over itself and the hash of the row before it, so that a row that is changed, removed or put in
later breaks the chain (`verify_chain`). Removing the newest rows shows only against a hash that was kept elsewhere: an
audit repository has every row, and `wmh-node audit verify` prints the newest hash.

Old rows may leave the database once they are in a file (`prune`). The chain then begins with the row after them, and a
row with the action `PRUNE` vouches for that beginning: it names the hash of the last row that left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from db.engine.database import Database
from db.engine.turns import take_turn
from db.engine.values import storable
from db.errors import IllegalTransition
from db.records import AuditEntry
from db.schema import audit

BACKUP: Final = "backup"
"""The action of a backup that is finished."""
RECEIVED: Final = "instances received"
SENT: Final = "results sent"
ROLE_STARTED: Final = "role started"
ROLE_ENDED: Final = "role ended"
PRUNE: Final = "prune audit"
"""The action of removing rows that are in a file; `about` has `last_number`, `last_hash`, `file`, `sha256`."""
OF_THE_NODE: Final = (RECEIVED, SENT, ROLE_STARTED, ROLE_ENDED)
"""Actions that no person took."""
FIRST_HASH: Final = ""
"""What the first row has in place of the hash of the row before it."""
_UNKNOWN: Final = "unknown"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row with its place in the chain.

    Attributes:
        number: rows are numbered in the order of the chain; numbers may be missing, never in reverse.
    """

    number: int
    entry: AuditEntry
    previous_hash: str
    hash: str

    @property
    def is_as_written(self) -> bool:
        """Whether it still has its own hash."""
        entry = self.entry
        values = {
            "at": entry.at, "who": entry.who, "action": entry.action, "job_id": entry.job_id, "detail": entry.detail,
            "about": None if entry.about is None else dict(entry.about), "previous_hash": self.previous_hash,
        }  # fmt: skip
        return self.hash == row_hash(values)


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What a look at the whole chain found.

    Attributes:
        entries: rows that were read; all of them when the chain is whole.
        head: hash of the newest row; empty without rows.
        broken_at: number of the first row that does not fit; None when the chain is whole.
        words: what is wrong with that row.
        holds: whether the hash that was asked for is in the chain; None when none was.
        begins_after: hash of the last row before the first one, which has left the database; empty when none has.
    """

    entries: int
    head: str
    broken_at: int | None = None
    words: str | None = None
    holds: bool | None = None
    begins_after: str = FIRST_HASH

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


def verify_chain(database: Database, holds: str | None = None, earlier: Iterable[AuditRow] = ()) -> ChainCheck:
    """Read every row and compute its hash again.

    Args:
        holds: a hash that was printed or exported earlier; the chain must still have it.
        earlier: rows that have left the database, from their files; also some that have not yet.
    """

    def all_rows() -> Iterator[AuditRow]:
        last = 0
        for row in earlier:
            yield row
            last = row.number
        yield from _rows(database, last)

    return check_rows(all_rows(), holds)


def check_rows(rows: Iterable[AuditRow], holds: str | None = None, vouched: Collection[str] = ()) -> ChainCheck:
    """Compute the hashes of a whole chain again, oldest row first; see `verify_chain`.

    Args:
        vouched: hashes after which it may begin, beside those that its own rows vouch for.
    """
    head, count, begins_after = FIRST_HASH, 0, FIRST_HASH
    vouched = set(vouched)
    found = None if holds is None else False
    first: int | None = None
    for row in rows:
        if first is None:
            first, head, begins_after = row.number, row.previous_hash, row.previous_hash
        if row.previous_hash != head:
            words = "rows before it are missing, or were put in"
            return ChainCheck(count, head, row.number, words, found, begins_after)
        if not row.is_as_written:
            return ChainCheck(count, head, row.number, "it was changed", found, begins_after)
        if row.entry.action == PRUNE and row.entry.about is not None:
            vouched.add(str(row.entry.about.get("last_hash")))
        head, count = row.hash, count + 1
        if holds == row.hash:
            found = True
    if begins_after != FIRST_HASH and begins_after not in vouched:
        words = f"rows before it are missing, and no row with the action {PRUNE!r} vouches for that"
        return ChainCheck(count, head, first, words, found, begins_after)
    return ChainCheck(count, head, holds=found, begins_after=begins_after)


def rows_before(database: Database, before: datetime, last_number: int | None, limit: int | None) -> list[AuditRow]:
    """The oldest rows that may leave: each older than `before`, and none after one that is not.

    Args:
        last_number: no row beyond it; None: any.
    """
    found: list[AuditRow] = []
    for row in _rows(database, 0):
        if row.entry.at >= before or len(found) == limit or (last_number is not None and row.number > last_number):
            break
        found.append(row)
    return found


def require_chained(database: Database, leaving: Sequence[AuditRow]) -> None:
    """Refuse to let rows leave that do not fit: what was done to them would no longer show.

    Args:
        leaving: the oldest rows there are, in order.

    Raises:
        IllegalTransition: names the first row that does not fit.
    """
    words = select(audit.c.about).where(audit.c.action == PRUNE)
    with database.read() as connection:
        vouched = {str((about or {}).get("last_hash")) for about in connection.execute(words).scalars()}
    found = check_rows(leaving, vouched=vouched)
    if not found.is_whole:
        raise IllegalTransition(
            f"the audit trail is broken at entry {found.broken_at}: {found.words}; nothing leaves the database, see "
            "`wmh-node audit verify`"
        )


def prune(database: Database, leaving: Sequence[AuditRow], by: str, file: str, sha256: str) -> int:
    """Remove rows that are durable in a file, and write down that they left; one transaction. Returns how many.

    Args:
        leaving: the oldest rows there are, in order.
        file, sha256: where they are, and the digest of it; for whoever looks for them.

    Raises:
        IllegalTransition: they are not the oldest rows, or were changed meanwhile; nothing was removed.
    """
    last = leaving[-1]
    about = {"last_number": last.number, "last_hash": last.hash, "file": file, "sha256": sha256}
    now = database.clock()
    with database.write() as connection:
        take_turn(connection, "audit")
        there = connection.execute(select(audit.c.hash).where(audit.c.id <= last.number).order_by(audit.c.id))
        if list(there.scalars()) != [row.hash for row in leaving]:
            raise IllegalTransition("entries of the audit trail changed while they were archived; nothing was removed")
        detail = f"{len(leaving)} entries, {leaving[0].number} to {last.number}, are in {file}"
        record_action(connection, now, by, PRUNE, None, detail, about)  # before they go: numbers are never used again
        connection.execute(delete(audit).where(audit.c.id <= last.number))
    return len(leaving)


def entries_after(database: Database, number: int, limit: int) -> list[tuple[int, AuditEntry]]:
    """Rows with a higher number, oldest first."""
    found = []
    for row in _rows(database, number, limit):
        found.append((row.number, row.entry))
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


def _rows(database: Database, after: int, batch: int = _BATCH) -> Iterator[AuditRow]:
    """Rows with a higher number, oldest first; in short transactions, since a reader must not hold up others."""
    query = select(audit.c.id, audit.c.previous_hash, audit.c.hash, *_ENTRY).order_by(audit.c.id).limit(batch)
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(audit.c.id > after)).all()
        for row in rows:
            yield AuditRow(row.id, AuditEntry(*row[3:]), row.previous_hash, row.hash)
        if len(rows) < batch:
            return
        after = rows[-1].id
