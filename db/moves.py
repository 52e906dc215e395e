"""The one place where a job changes its state."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from db.errors import UnknownRow
from db.job import Job
from db.job_states import JobAction, JobState, require_transition
from db.rows import job_of
from db.schema import jobs
from db.text import storable
from db.timeline import note

_BEYOND_IDS: Final = 2**31


def lock_job(connection: Connection, job_id: int) -> Job:
    """A job as it is now, and stays until the transaction ends.

    Raises:
        UnknownRow: there is none of that id.
    """
    # NO KEY UPDATE: a transaction that only adds a line to the timeline need not wait, and so cannot deadlock with us.
    return read_job(connection, select(jobs).where(jobs.c.id == job_id).with_for_update(key_share=True), job_id)


def get_job(connection: Connection, job_id: int) -> Job:
    """A job as it is now.

    Raises:
        UnknownRow: there is none of that id.
    """
    return read_job(connection, select(jobs).where(jobs.c.id == job_id), job_id)


def read_job(connection: Connection, query: Any, job_id: int) -> Job:
    """The one row of the query."""
    # Numbers that no column can hold are unknown too, not an error of the driver.
    row = connection.execute(query).first() if 0 < job_id < _BEYOND_IDS else None
    if row is None:
        raise UnknownRow(f"there is no job {job_id}; `wmh-node jobs list` shows those there are")
    return job_of(row)


def move(
    connection: Connection,
    job: Job,
    action: JobAction,
    state: JobState,
    now: datetime,
    what: str,
    detail: str,
    **changes: Any,
) -> Job:
    """Change a locked job's state, and write the line of its timeline that says so.

    A lease ends with the state it belongs to: only `running` has one.

    Raises:
        IllegalTransition: see `db.job_states`.
    """
    require_transition(job.id, action, job.state, state)
    values = {
        "state": state.value,
        "updated_at": now,
        "ended_at": now if state.has_ended else None,
        "lease_owner": None,
        "lease_expires": None,
        **changes,
    }
    if isinstance(changes.get("reason"), str):
        values["reason"] = storable(changes["reason"])
    row = connection.execute(update(jobs).where(jobs.c.id == job.id).values(values).returning(jobs)).one()
    note(connection, job.id, now, what, detail)
    return job_of(row)
