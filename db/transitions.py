"""The states of a job, the only ways between them, and the one place where a job changes its state.

Source: docs/maintainer/architecture.md, "Job states": `queued -> running -> delivering -> done`; sidings `rejected`
(not analysable: why), `failed` (attempts spent: why), `cancelled`. A lease is two columns and no state.

| action      | from                        | to         | when                                                        |
|-------------|-----------------------------|------------|-------------------------------------------------------------|
| enqueue     | (new)                       | queued     | the series is complete and a brain FLAIR                    |
| turn away   | (new)                       | rejected   | the series is complete and not analysable                   |
| claim       | queued                      | running    | a worker takes it                                           |
| claim       | running                     | running    | the lease ran out, another worker takes it                  |
| claim       | running                     | failed     | the lease ran out in the last attempt                       |
| supersede   | queued                      | cancelled  | a later slice made a newer job                              |
| supersede   | running                     | cancelled  | the same, and the attempt ended without a result            |
| retry later | running                     | queued     | the attempt failed and others are left                      |
| retry later | running                     | failed     | the last attempt failed                                     |
| put back    | running                     | queued     | another fault than the job's, as a full disk; not counted   |
| fail        | running                     | failed     | trying again cannot help                                    |
| reject      | running                     | rejected   | the worker found it not analysable                          |
| deliver     | running                     | delivering | the result set lies in the outbox                           |
| deliver     | running                     | done       | the same, and there is no destination                       |
| settle      | delivering                  | done       | every destination has it, and proved it where it promised   |
| settle      | delivering                  | failed     | every delivery has ended, at least one of them badly        |
| prove       | failed                      | done       | the last proof of the destinations came after all           |
| make again  | delivering, rejected        | queued     | the result set, or the answer, is gone from the outbox      |
| cancel      | queued, running, delivering | cancelled  | an administrator cancels; a worker notices by its heartbeat |
| retry       | failed, cancelled, rejected | queued     | an administrator retries; there is no result yet            |
| retry       | failed, cancelled           | delivering | an administrator retries; the result is there: only sent    |

`done` has no way out: a late slice gives a new job. A rejected job that is retried is analysed again by its worker. Its
refusal report may not be delivered yet: that is the state of its delivery rows, and does not change the job's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from db.engine.upsert import upsert
from db.engine.values import storable
from db.errors import IllegalTransition, UnknownRow
from db.job_events import note
from db.priorities import place_of
from db.records import Job, JobState, Priority, job_of
from db.schema import job_events, jobs

_JOB: Final = select(jobs).where(jobs.c.id == bindparam("job_id"))
# NO KEY UPDATE: a transaction that only adds a line to the timeline need not wait, and so cannot deadlock with us.
_LOCKED_JOB: Final = _JOB.with_for_update(key_share=True)
_BEYOND_IDS: Final = 2**31


class JobAction(StrEnum):
    """What moves a job."""

    ENQUEUE = "enqueue"
    TURN_AWAY = "turn away"
    CLAIM = "claim"
    SUPERSEDE = "supersede"
    RETRY_LATER = "retry later"
    PUT_BACK = "put back"
    FAIL = "fail"
    REJECT = "reject"
    DELIVER = "deliver"
    SETTLE = "settle"
    PROVE = "prove"
    MAKE_AGAIN = "make again"
    CANCEL = "cancel"
    RETRY = "retry"


TRANSITIONS: Final[Mapping[JobAction, Mapping[JobState | None, frozenset[JobState]]]] = {
    JobAction.ENQUEUE: {None: frozenset({JobState.QUEUED})},
    JobAction.TURN_AWAY: {None: frozenset({JobState.REJECTED})},
    JobAction.CLAIM: {
        JobState.QUEUED: frozenset({JobState.RUNNING}),
        JobState.RUNNING: frozenset({JobState.RUNNING, JobState.FAILED}),
    },
    JobAction.SUPERSEDE: {
        JobState.QUEUED: frozenset({JobState.CANCELLED}),
        JobState.RUNNING: frozenset({JobState.CANCELLED}),
    },
    JobAction.RETRY_LATER: {JobState.RUNNING: frozenset({JobState.QUEUED, JobState.FAILED})},
    JobAction.PUT_BACK: {JobState.RUNNING: frozenset({JobState.QUEUED})},
    JobAction.FAIL: {JobState.RUNNING: frozenset({JobState.FAILED})},
    JobAction.REJECT: {JobState.RUNNING: frozenset({JobState.REJECTED})},
    JobAction.DELIVER: {JobState.RUNNING: frozenset({JobState.DELIVERING, JobState.DONE})},
    JobAction.SETTLE: {JobState.DELIVERING: frozenset({JobState.DONE, JobState.FAILED})},
    JobAction.PROVE: {JobState.FAILED: frozenset({JobState.DONE})},
    JobAction.MAKE_AGAIN: {
        JobState.DELIVERING: frozenset({JobState.QUEUED}),
        JobState.REJECTED: frozenset({JobState.QUEUED}),
    },
    JobAction.CANCEL: {
        JobState.QUEUED: frozenset({JobState.CANCELLED}),
        JobState.RUNNING: frozenset({JobState.CANCELLED}),
        JobState.DELIVERING: frozenset({JobState.CANCELLED}),
    },
    JobAction.RETRY: {
        JobState.FAILED: frozenset({JobState.QUEUED, JobState.DELIVERING}),
        JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.DELIVERING}),
        JobState.REJECTED: frozenset({JobState.QUEUED}),
    },
}


def require_transition(job_id: int | None, action: JobAction, old: JobState | None, new: JobState) -> None:
    """Refuse a transition that the table does not have.

    Raises:
        IllegalTransition: names the job's state and the states that allow the action.
    """
    ways = TRANSITIONS[action]
    if new in ways.get(old, frozenset()):
        return
    expected = ", ".join(state for state in ways if state is not None) or "no job yet"
    raise IllegalTransition(f"cannot {action} job {job_id}: it is {old}, expected {expected}")


def insert_job(
    connection: Connection, action: JobAction, state: JobState, now: datetime, values: Mapping[str, Any]
) -> Job | None:
    """A new job in one of the two states that a job may begin in; None when another process has just made it."""
    require_transition(None, action, None, state)
    row = {
        "attempts": 0,
        "not_before": now,
        "created_at": now,
        "updated_at": now,
        "ended_at": now if state.has_ended else None,
        "state": state.value,
        "priority": Priority.MEDIUM.value,
        **values,
    }
    row["place"] = place_of(Priority(row["priority"]), row["not_before"])
    statement = upsert(connection.dialect.name)(jobs).values(row)
    made = connection.execute(
        statement.on_conflict_do_nothing(
            index_elements=[jobs.c.series_instance_uid, jobs.c.instances_digest]
        ).returning(jobs)
    ).first()
    return None if made is None else job_of(made)


def lock_job(connection: Connection, job_id: int) -> Job:
    """A job as it is now, locked until the transaction ends.

    Raises:
        UnknownRow: there is none of that id.
    """
    return _read_job(connection, _LOCKED_JOB, job_id)


def get_job(connection: Connection, job_id: int) -> Job:
    """A job as it is now.

    Raises:
        UnknownRow: there is none of that id.
    """
    return _read_job(connection, _JOB, job_id)


def _read_job(connection: Connection, query: Any, job_id: int) -> Job:
    """The one row of the query."""
    # A number too large for the column is unknown, not an error of the driver.
    row = connection.execute(query, {"job_id": job_id}).first() if 0 < job_id < _BEYOND_IDS else None
    if row is None:
        raise UnknownRow(f"there is no job {job_id}; `wmh-node jobs list` lists the jobs")
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
        IllegalTransition: see `db.transitions`.
    """
    require_transition(job.id, action, job.state, state)
    values: dict[str, Any] = {
        "state": state.value,
        "updated_at": now,
        "ended_at": now if state.has_ended else None,
        "lease_owner": None,
        "lease_expires": None,
        **changes,
    }
    if "not_before" in changes and "place" not in changes:
        values["place"] = place_of(job.priority, changes["not_before"])
    if isinstance(changes.get("reason"), str):
        values["reason"] = storable(changes["reason"])
    statement = _move_statement(connection.dialect.name, tuple(values))
    parameters = {f"new_{name}": value for name, value in values.items()}
    parameters["moved_id"] = job.id
    if connection.dialect.name == "sqlite":
        row = connection.execute(statement, parameters).one()
        note(connection, job.id, now, what, detail)
    else:
        line = {"event_at": now, "event_what": what, "event_detail": storable(detail)}
        row = connection.execute(statement, {**parameters, **line}).one()
    return job_of(row)


@cache
def _move_statement(dialect_name: str, columns: tuple[str, ...]) -> Any:
    """The update of these columns; on PostgreSQL it writes the line of the timeline too: one round trip for both."""
    changed = (
        update(jobs)
        .where(jobs.c.id == bindparam("moved_id"))
        .values({name: bindparam(f"new_{name}", type_=jobs.c[name].type) for name in columns})
        .returning(jobs)
    )
    if dialect_name == "sqlite":
        return changed
    moved = changed.cte("moved")
    names = ("at", "what", "detail")
    line = select(moved.c.id, *(bindparam(f"event_{name}", type_=job_events.c[name].type) for name in names))
    return select(moved).add_cte(insert(job_events).from_select(["job_id", *names], line).cte("line"))
