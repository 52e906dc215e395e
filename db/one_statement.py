"""The two usual steps of a job, each in one statement of PostgreSQL: a claim from the queue, and the first delivery.

A transaction of several statements waits for the server at each of them, and holds its locks for as long. With many
workers that, not the disk, bounds how many jobs a second there can be. A statement that is a transaction of its own
waits once, for its commit. Whatever is not usual changes nothing here and gives None: `JobTable` then takes the general
way, which also says what is wrong.

| step    | usual                                                                                               |
|---------|-----------------------------------------------------------------------------------------------------|
| claim   | no lease ran out, and the job that is due longest has attempts left                                 |
| deliver | the caller holds the lease, the job has no result or delivery from before, and no job came before it |

SQLite has no such statements, and needs none: it is not asked over a connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Connection,
    Integer,
    Numeric,
    String,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)

from db.claimable import CLAIMED_WORDS, EXPIRED, QUEUED, SHARED
from db.engine.values import storable
from db.records import DeliveryState, Job, JobState, NewDelivery, job_of, review_state
from db.schema import UtcDateTime, deliveries, job_events, jobs
from db.transitions import JobAction, require_transition

_NOW: Final = bindparam("now", type_=UtcDateTime())


def claim_queued(
    connection: Connection, owner: str, now: datetime, lease_seconds: float, *, only_shared: bool = False
) -> Job | None:
    """Take the first job of the queue; None when there is none, or a claim needs more than this."""
    require_transition(None, JobAction.CLAIM, JobState.QUEUED, JobState.RUNNING)
    expires = now + timedelta(seconds=lease_seconds)
    statement = _CLAIM_SHARED if only_shared else _CLAIM
    row = connection.execute(statement, {"now": now, "owner": owner, "expires": expires}).first()
    return None if row is None else job_of(row)


def deliver_first(
    connection: Connection,
    job_id: int,
    owner: str,
    measurements: Mapping[str, Any],
    new_deliveries: Sequence[NewDelivery],
    report: Mapping[str, str] | None,
    detail: str,
    now: datetime,
) -> Job | None:
    """Hand over the first result of the only job of a series; None when it is not that, or not the owner's."""
    state = JobState.DELIVERING if new_deliveries else JobState.DONE
    require_transition(job_id, JobAction.DELIVER, JobState.RUNNING, state)
    values = {
        "job": job_id,
        "owner": owner,
        "now": now,
        "state": state.value,
        "ended_at": now if state.has_ended else None,
        "measurements": dict(measurements),
        "report": None if report is None else dict(report),
        "review": review_state(measurements),
        "detail": storable(detail),
        "new": [
            {"destination": delivery.destination, "files": [str(file) for file in delivery.files]}
            for delivery in new_deliveries
        ],
    }
    row = connection.execute(_DELIVER, values).first()
    return None if row is None else job_of(row)


def _line(moved: Any, what: str, detail: Any) -> Any:
    values = select(moved.c.id, _NOW, literal(what, String), detail)
    return insert(job_events).from_select(["job_id", "at", "what", "detail"], values).cte("line")


def _claim(expired: Any, queued: Any) -> Any:
    usual = queued.where(jobs.c.attempts < jobs.c.max_attempts, ~expired.exists())
    due = usual.with_only_columns(jobs.c.id).with_for_update(skip_locked=True, key_share=True, of=jobs).cte("due")
    claimed = (
        update(jobs)
        .where(jobs.c.id == due.c.id)
        .values(
            state=literal_column("'running'"),
            attempts=jobs.c.attempts + literal_column("1", Integer),
            lease_owner=bindparam("owner", type_=String),
            lease_expires=bindparam("expires", type_=UtcDateTime()),
            updated_at=_NOW,
        )
        .returning(jobs)
        .cte("claimed")
    )
    waited = cast(func.extract("epoch", _NOW - claimed.c.not_before), Numeric)
    words = func.format(
        literal(CLAIMED_WORDS, Text),
        bindparam("owner", type_=String),
        func.format(literal("attempt %s of %s", Text), claimed.c.attempts, claimed.c.max_attempts),
        func.round(func.greatest(waited, literal_column("0")), literal_column("1")),
    )
    return select(claimed).add_cte(_line(claimed, "claimed", words))


def _deliver() -> Any:
    before = select(deliveries.c.id).where(deliveries.c.job_id == bindparam("job"))
    moved = (
        update(jobs)
        .where(
            jobs.c.id == bindparam("job"),
            jobs.c.state == literal_column("'running'"),
            jobs.c.lease_owner == bindparam("owner"),
            jobs.c.predecessor_id.is_(None),
            jobs.c.measurements.is_(None),
            ~before.exists(),
        )
        .values(
            state=bindparam("state"),
            updated_at=_NOW,
            ended_at=bindparam("ended_at", type_=UtcDateTime()),
            lease_owner=null(),
            lease_expires=null(),
            code=null(),
            reason=null(),
            measurements=bindparam("measurements", type_=jobs.c.measurements.type),
            report=bindparam("report", type_=jobs.c.report.type),
            review=bindparam("review", type_=String),
        )
        .returning(jobs)
        .cte("moved")
    )
    new = (
        func.json_to_recordset(bindparam("new", type_=JSON()))
        .table_valued(column("destination", Text), column("files", JSON))
        .render_derived(name="new", with_types=True)
    )
    rows = select(
        moved.c.id,
        new.c.destination,
        new.c.files,
        literal(DeliveryState.PENDING.value, String),
        literal_column("0"),
        literal_column("0"),
        _NOW,
        _NOW,
    ).select_from(moved.join(new, literal_column("true")))
    names = ["job_id", "destination", "files", "state", "attempts", "refusals", "not_before", "created_at"]
    due = insert(deliveries).from_select(names, rows).cte("due")
    detail = bindparam("detail", type_=Text)
    return select(moved).add_cte(due, _line(moved, "results written", detail))


_CLAIM: Final = _claim(EXPIRED, QUEUED)
_CLAIM_SHARED: Final = _claim(*SHARED)
_DELIVER: Final = _deliver()
