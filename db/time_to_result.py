"""How long people waited: from the last image of a job's series to the job's end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from db.engine.database import Database
from db.records import JobState
from db.schema import commitments, deliveries, jobs, series

_TIMES = (
    select(jobs.c.ended_at, series.c.last_received_at)
    .join(series, series.c.series_instance_uid == jobs.c.series_instance_uid)
    .where(jobs.c.state == JobState.DONE.value, jobs.c.ended_at.is_not(None))
)


def seconds_to_result(database: Database, job_id: int) -> float | None:
    """Of a job; None while it is not done."""
    return _seconds(database, _TIMES.where(jobs.c.id == job_id))


def seconds_to_proof(database: Database, transaction_uid: str) -> float | None:
    """Of the job that a report of storage commitment has ended; None when that report ended none."""
    of_report = (
        _TIMES.join(deliveries, deliveries.c.job_id == jobs.c.id)
        .join(commitments, commitments.c.delivery_id == deliveries.c.id)
        .where(commitments.c.transaction_uid == transaction_uid, commitments.c.ended_at == jobs.c.ended_at)
    )
    return _seconds(database, of_report)


def _seconds(database: Database, query: Select[Any]) -> float | None:
    with database.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else max(0.0, float((row.ended_at - row.last_received_at).total_seconds()))
