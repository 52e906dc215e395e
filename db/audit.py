"""What people did to jobs and models: who, when, what."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from db.engine.database import Database
from db.engine.values import storable
from db.records import AuditEntry
from db.schema import audit

BACKUP: Final = "backup"
"""The action of a backup that is finished."""
_UNKNOWN: Final = "unknown"


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
