"""What the tables say about the node at one moment: for `wmh-node status`, health checks and metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from db.audit import BACKUP
from db.engine.database import Database
from db.records import FAILED_DELIVERIES, DeliveryBacklog, DeliveryState, JobBacklog, JobState, Overview
from db.schema import audit, deliveries, jobs, series

# As the index names it.
_BACKUP: Final[ColumnElement[str]] = literal_column(f"'{BACKUP}'")


def overview(database: Database, since: datetime) -> Overview:
    """One consistent look at the tables, in a transaction that only reads.

    Args:
        since: failures before this time are not counted in `failed_since` and `not_delivered_since`.
    """
    waiting = series.c.instance_count > series.c.judged_count
    with database.read() as connection:
        waiting_count, oldest_waiting_at = connection.execute(
            select(func.count(), func.min(series.c.first_received_at)).where(waiting)
        ).one()
        return Overview(
            at=database.clock(),
            jobs=_jobs(connection),
            deliveries=_deliveries(connection),
            waiting_series=waiting_count,
            oldest_waiting_at=oldest_waiting_at,
            last_received_at=connection.execute(select(func.max(series.c.last_received_at))).scalar_one(),
            last_result_at=connection.execute(
                select(func.max(jobs.c.ended_at)).where(jobs.c.state == JobState.DONE.value)
            ).scalar_one(),
            last_backup_at=connection.execute(
                select(func.max(audit.c.at)).where(audit.c.action == _BACKUP)
            ).scalar_one(),
            failed_since=connection.execute(
                select(func.count()).where(
                    jobs.c.state == JobState.FAILED.value, jobs.c.ended_at >= since, jobs.c.acknowledged_at.is_(None)
                )
            ).scalar_one(),
            not_delivered_since=connection.execute(
                select(func.count()).where(
                    deliveries.c.state.in_([state.value for state in FAILED_DELIVERIES]),
                    deliveries.c.settled_at >= since,
                )
            ).scalar_one(),
        )


def _jobs(connection: Connection) -> tuple[JobBacklog, ...]:
    query = select(jobs.c.state, func.count(), func.min(jobs.c.created_at)).group_by(jobs.c.state)
    found = {state: (count, oldest) for state, count, oldest in connection.execute(query)}
    return tuple(JobBacklog(state, *found[state.value]) for state in JobState if state.value in found)


def _deliveries(connection: Connection) -> tuple[DeliveryBacklog, ...]:
    columns = deliveries.c.destination, deliveries.c.state
    query = select(*columns, func.count(), func.min(deliveries.c.created_at)).group_by(*columns).order_by(*columns)
    return tuple(
        DeliveryBacklog(destination, DeliveryState(state), count, oldest)
        for destination, state, count, oldest in connection.execute(query)
    )
