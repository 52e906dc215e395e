"""The timeline of a job: what happened, when, and who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from db.schema import job_events


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's timeline; `who` is set for what a person asked for."""

    at: datetime
    what: str
    detail: str
    who: str | None = None


def note(connection: Connection, job_id: int, at: datetime, what: str, detail: str, who: str | None = None) -> None:
    """Add a line to a job's timeline, in the caller's transaction."""
    connection.execute(insert(job_events), {"job_id": job_id, "at": at, "what": what, "detail": detail, "who": who})


def events_of(connection: Connection, job_id: int) -> list[JobEvent]:
    """A job's timeline, oldest first."""
    rows = connection.execute(
        select(job_events.c.at, job_events.c.what, job_events.c.detail, job_events.c.who)
        .where(job_events.c.job_id == job_id)
        .order_by(job_events.c.at, job_events.c.id)
    )
    return [JobEvent(*row) for row in rows]
