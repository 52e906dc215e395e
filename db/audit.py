"""What people did to jobs and models: who, when, what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from db.engine import Database
from db.schema import audit
from db.text import storable

_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action of a person, or what a worker could not do that a person must know.

    Attributes:
        who: account, as `user@host` from the command line; "unknown" when nobody was named.
        action: "cancel" or "retry" of a job; "add model", "evaluate model", "promote model", "roll back model"; "look
            at feedback again"; or a worker's "live model not loaded", "feedback accepted", "feedback refused" and
            "feedback fits no series yet", where `who` is the AE title that sent it.
        job_id: None when it is about no job.
    """

    at: datetime
    who: str
    action: str
    job_id: int | None
    detail: str


def record_action(
    connection: Connection, at: datetime, who: str | None, action: str, job_id: int | None, detail: str
) -> None:
    """Write an action down, in the transaction that does it."""
    values = {
        "at": at,
        "who": storable(who or _UNKNOWN)[:255],
        "action": action,
        "job_id": job_id,
        "detail": storable(detail),
    }
    connection.execute(insert(audit), values)


def audit_entries(database: Database, limit: int | None = None) -> list[AuditEntry]:
    """Actions, newest first."""
    query = select(audit.c.at, audit.c.who, audit.c.action, audit.c.job_id, audit.c.detail).order_by(audit.c.id.desc())
    if limit is not None:
        query = query.limit(limit)
    with database.read() as connection:
        return [AuditEntry(*row) for row in connection.execute(query)]
