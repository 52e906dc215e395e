"""A job's timeline: what was received, then what happened to it, as text."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Row, cast, func, insert, select

from db.engine.values import storable
from db.records import AssociationEnd, Job, JobEvent
from db.schema import associations, instances, job_events, series_associations

PRIORITISED: Final = "prioritised"
_NOTE = insert(job_events)

_ENDINGS: Final = {
    AssociationEnd.RELEASED: "closed normally by the sender",
    AssociationEnd.ABORTED: "aborted, or the connection was lost",
    AssociationEnd.LOST: "the receiver stopped while it was open",
}


def note(connection: Connection, job_id: int, at: datetime, what: str, detail: str) -> None:
    """Add a line to a job's timeline, in the transaction of the event."""
    connection.execute(_NOTE, {"job_id": job_id, "at": at, "what": what, "detail": storable(detail)})


def timeline(connection: Connection, job: Job) -> list[JobEvent]:
    """All lines of a job, oldest first."""
    noted = connection.execute(
        select(job_events.c.at, job_events.c.what, job_events.c.detail)
        .where(job_events.c.job_id == job.id)
        .order_by(job_events.c.id)
    )
    events = [*_receiving(connection, job), *(JobEvent(row.at, row.what, row.detail) for row in noted)]
    return sorted(events, key=lambda event: event.at)  # stable: lines of one instant keep their order


def _receiving(connection: Connection, job: Job) -> list[JobEvent]:
    return [
        event for row in _associations_of(connection, job) for event in _association_events(row, until=job.created_at)
    ]


def _associations_of(connection: Connection, job: Job) -> list[Row[Any]]:
    """Associations that delivered instances of the series before the job was made, with their counts."""
    brought = (
        select(
            instances.c.association_id,
            func.count().label("brought"),
            func.sum(cast(instances.c.is_conflict, Integer)).label("conflicts"),
            func.sum(cast(instances.c.known_elsewhere, Integer)).label("elsewhere"),
            func.max(instances.c.received_at).label("last_at"),
        )
        .where(instances.c.series_instance_uid == job.series_instance_uid, instances.c.ordinal <= job.instance_count)
        .group_by(instances.c.association_id)
        .subquery()
    )
    query = (
        select(
            associations,
            series_associations.c.first_received_at,
            series_associations.c.duplicate_count,
            brought.c.brought,
            brought.c.conflicts,
            brought.c.elsewhere,
            brought.c.last_at,
        )
        .select_from(series_associations)
        .join(associations, associations.c.id == series_associations.c.association_id)
        .outerjoin(brought, brought.c.association_id == associations.c.id)
        .where(
            series_associations.c.series_instance_uid == job.series_instance_uid,
            series_associations.c.first_received_at <= job.created_at,
        )
        .order_by(associations.c.id)
    )
    return list(connection.execute(query))


def _association_events(row: Row[Any], until: datetime) -> list[JobEvent]:
    calling = row.calling_ae_title
    events = [
        JobEvent(row.opened_at, "association opened", f"{calling} at {row.address} called {row.called_ae_title}"),
        JobEvent(row.last_at or row.first_received_at, "received", f"{_brought(row)} from {calling}"),
    ]
    if row.ended_at is not None and row.ended_at <= until:
        end = AssociationEnd(row.ended_how)
        events.append(JobEvent(row.ended_at, f"association {end}", f"{calling}: {_ENDINGS[end]}"))
    return events


def _brought(row: Row[Any]) -> str:
    parts = [f"{row.brought or 0} instances"]
    if row.conflicts:
        parts.append(f"{row.conflicts} of them with a known SOP Instance UID and different bytes")
    if row.elsewhere:
        parts.append(f"{row.elsewhere} of them with a SOP Instance UID that another series also has")
    if row.duplicate_count:
        parts.append(f"{row.duplicate_count} sent again with the same bytes")
    return ", ".join(parts)
