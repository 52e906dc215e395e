"""Which jobs may be claimed, one query per index: leases that ran out, then the queue by its places."""

from __future__ import annotations

from typing import Any, Final, cast

from sqlalchemy import ColumnElement, bindparam, literal_column, select

from db.records import JobState
from db.schema import jobs

# The holder, which attempt, seconds.
CLAIMED_WORDS: Final = "by %s, %s, after %s s in the queue"


def is_in(state: JobState, table: Any = jobs) -> ColumnElement[bool]:
    """Whether the row is in that state."""
    # A literal: no index of one state can serve a parameter that may hold any.
    return cast(ColumnElement[bool], table.c.state == literal_column(f"'{state.value}'"))


def _claimable(only_shared: bool) -> tuple[Any, Any]:
    shared = [jobs.c.shared_at.is_not(None)] if only_shared else []
    now = bindparam("now", type_=jobs.c.not_before.type)
    expired = (
        select(jobs).where(is_in(JobState.RUNNING), jobs.c.lease_expires <= now, *shared).order_by(jobs.c.lease_expires)
    )
    others = jobs.alias()
    under_way = select(others.c.id).where(
        others.c.series_instance_uid == jobs.c.series_instance_uid, is_in(JobState.RUNNING, others)
    )
    queued = (
        select(jobs)
        .where(is_in(JobState.QUEUED), jobs.c.not_before <= now, ~under_way.exists(), *shared)
        .order_by(jobs.c.place, jobs.c.id)
    )
    return expired.limit(1), queued.limit(1)


EXPIRED, QUEUED = _claimable(only_shared=False)
# For a machine that has the object store alone.
SHARED: Final = _claimable(only_shared=True)
