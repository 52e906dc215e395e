"""A queued job about an older state of its series is not worth computing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from db.job import Job
from db.job_states import JobAction, JobState
from db.moves import lock_job, move

SUPERSEDED: Final = "superseded"


def supersede_queued(connection: Connection, earlier: Sequence[Job], newer: Job, now: datetime) -> None:
    """Cancel the earlier jobs of a series that nobody has begun."""
    reason = f"more instances came before it was begun; job {newer.id} takes its place"
    for job in earlier:
        if job.state is not JobState.QUEUED:
            continue
        current = lock_job(connection, job.id)
        if current.state is JobState.QUEUED:  # else a worker took it meanwhile
            move(
                connection,
                current,
                JobAction.SUPERSEDE,
                JobState.CANCELLED,
                now,
                SUPERSEDED,
                reason,
                code=SUPERSEDED,
                reason=reason,
            )
