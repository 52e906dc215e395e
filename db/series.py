"""What ends the waiting of a series: a verdict about its first n instances, which is always a job."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, func, select, update

from db.errors import UnknownRow
from db.job_events import PRIORITISED
from db.priorities import highest
from db.records import Job, Priority, job_of
from db.schema import instances, job_events, jobs, series


def lock_series(connection: Connection, series_instance_uid: str) -> Any:
    """The row of the series, so that no other verdict comes in between; None when nothing was received."""
    return connection.execute(
        select(series).where(series.c.series_instance_uid == series_instance_uid).with_for_update(key_share=True)
    ).first()


def mark_closed(connection: Connection, series_instance_uid: str, instance_count: int) -> None:
    """The first `instance_count` instances have their verdict."""
    decided = series.c.judged_count
    connection.execute(
        update(series)
        .where(series.c.series_instance_uid == series_instance_uid)
        .values(judged_count=case((decided < instance_count, instance_count), else_=decided))
    )


def newer_verdict(row: Any, earlier: Sequence[Job], instance_count: int) -> Job | None:
    """The newest job, when a verdict about more than `instance_count` instances exists: that verdict stays.

    Args:
        row: of the series, locked; None when nothing was received.
        earlier: all jobs of the series, oldest first.
    """
    decided = 0 if row is None else row.judged_count
    decided = max([decided, *(job.instance_count for job in earlier)])
    return earlier[-1] if earlier and decided > instance_count else None


def digest_of_first(connection: Connection, series_instance_uid: str, instance_count: int) -> str:
    """Name of the set of the first n instances without the conflicting ones, which are not analysed.

    Returns:
        sha256 as hex over the sorted, distinct lines "<SOPInstanceUID> <sha256>\\n": the formula that names a job
        (`dicom_node/series/dicom/digest.py`; a test holds the two together).
    """
    rows = connection.execute(
        select(instances.c.sop_instance_uid, instances.c.sha256).where(
            instances.c.series_instance_uid == series_instance_uid,
            instances.c.ordinal <= instance_count,
            instances.c.is_conflict.is_(False),
        )
    )
    lines = sorted({f"{uid} {sha256}\n" for uid, sha256 in rows})
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


def jobs_of_series(connection: Connection, series_instance_uid: str) -> list[Job]:
    """Jobs of a series, oldest first."""
    rows = connection.execute(select(jobs).where(jobs.c.series_instance_uid == series_instance_uid).order_by(jobs.c.id))
    return [job_of(row) for row in rows]


def priority_of(row: Any, earlier: Sequence[Job], by_hand: Job | None) -> Priority:
    """Of the next job of a series: what a person said of its job that has not ended; else what its sender asked for,
    and no less than that job has.

    Args:
        row: of the series; None when nothing was received.
        earlier: all jobs of the series.
        by_hand: see `moved_by_hand`.
    """
    if by_hand is not None:
        return by_hand.priority
    asked = Priority.MEDIUM if row is None else Priority(row.priority)
    return highest(asked, *(job.priority for job in earlier if not job.state.has_ended))


def moved_by_hand(connection: Connection, earlier: Sequence[Job]) -> Job | None:
    """The newest job of a series that has not ended and whose priority a person has set; None without one.

    Args:
        earlier: all jobs of the series, oldest first.
    """
    for job in reversed(earlier):
        said = select(job_events.c.id).where(job_events.c.job_id == job.id, job_events.c.what == PRIORITISED).limit(1)
        if not job.state.has_ended and connection.execute(said).first() is not None:
            return job
    return None


def same_job(earlier: Sequence[Job], instances_digest: str) -> Job | None:
    """The job about exactly these instances, when there is one."""
    return next((job for job in earlier if job.instances_digest == instances_digest), None)


def get_job_of(connection: Connection, series_instance_uid: str, instances_digest: str) -> Job:
    """The job about these instances, which is known to exist."""
    query = select(jobs).where(
        jobs.c.series_instance_uid == series_instance_uid, jobs.c.instances_digest == instances_digest
    )
    return job_of(connection.execute(query).one())


def require_series(row: Any, series_instance_uid: str) -> Any:
    """The row, or an error when nothing was received.

    Raises:
        UnknownRow: there is none.
    """
    if row is None:
        raise UnknownRow(f"no instance of series {series_instance_uid} was received")
    return row


def purged_count(connection: Connection, series_instance_uid: str, instance_count: int) -> int:
    """How many of the first so many instances of a series have no file any more."""
    query = select(func.count()).where(
        instances.c.series_instance_uid == series_instance_uid,
        instances.c.ordinal <= instance_count,
        instances.c.purged_at.is_not(None),
    )
    return int(connection.execute(query).scalar_one())
