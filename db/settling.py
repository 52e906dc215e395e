"""How a delivery ends, and its job with the last of them; in the transaction of whoever ends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from db.delivery_transitions import DeliveryAction, after
from db.engine.values import storable
from db.errors import LeaseLost, UnknownRow
from db.job_events import note
from db.records import (
    FAILED_DELIVERIES,
    CommitmentState,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Job,
    JobState,
    NewDelivery,
    delivery_of,
)
from db.schema import commitments, deliveries
from db.transitions import JobAction, lock_job, move

NOT_DELIVERED: Final = "not_delivered"
NOT_PROVEN: Final = "not_proven"

# A row that waits for something: to be sent, or for its proof.
IS_OPEN: Final[ColumnElement[bool]] = or_(
    deliveries.c.state == DeliveryState.PENDING.value,
    and_(deliveries.c.state == DeliveryState.SENT.value, deliveries.c.settled_at.is_(None)),
)


def results_of(job_id: int) -> ColumnElement[bool]:
    """The rows that decide about a job: not those that withdraw its results."""
    return and_(deliveries.c.job_id == job_id, deliveries.c.kind == DeliveryKind.RESULTS.value)


def owned(connection: Connection, delivery_id: int, owner: str, state: DeliveryState) -> tuple[Job, Delivery]:
    """Job and delivery, both locked. The job first: two last deliveries end one after the other and see each other.

    Raises:
        UnknownRow: there is no such delivery; also when `files_lost` took it away from its sender.
        LeaseLost: it is not the owner's, or no longer in this state.
    """
    job_id = connection.execute(select(deliveries.c.job_id).where(deliveries.c.id == delivery_id)).scalar_one_or_none()
    if job_id is None:
        raise UnknownRow(f"there is no delivery {delivery_id}")
    job = lock_job(connection, job_id)
    delivery = locked(connection, delivery_id)
    if delivery.state is not state or delivery.lease_owner != owner:
        raise LeaseLost(
            f"delivery {delivery_id} of job {job_id} is no longer {owner}'s: it is {delivery.state}, held by "
            f"{delivery.lease_owner or 'no sender'}"
        )
    return job, delivery


def locked(connection: Connection, delivery_id: int) -> Delivery:
    """A row that is there, locked."""
    query = select(deliveries).where(deliveries.c.id == delivery_id).with_for_update(key_share=True)
    return delivery_of(connection.execute(query).one())


def advance(
    connection: Connection, delivery: Delivery, action: DeliveryAction, now: datetime, **changes: Any
) -> DeliveryState:
    """Move a locked delivery by the table; its lease ends."""
    state = after(action, delivery.id, delivery.state)
    values: dict[str, Any] = {"state": state.value, "lease_owner": None, "lease_expires": None, "settled_at": now}
    connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values({**values, **changes}))
    return state


def end_with_reason(
    connection: Connection, job: Job, delivery: Delivery, action: DeliveryAction, reason: str, now: datetime
) -> None:
    """Give it up, or have it refused or unanswered, and say why."""
    reason = storable(reason).removeprefix(f"{delivery.destination}: ")  # the row and the words below name it already
    state = advance(connection, delivery, action, now, reason=reason, report_out=delivery.report_out)
    what = str(state).replace("_", " ")
    note(connection, job.id, now, what, f"{_name(delivery)}, attempt {delivery.attempts}: {reason}")
    end_job(connection, job, now)


def _name(delivery: Delivery) -> str:
    is_result = delivery.kind is DeliveryKind.RESULTS
    return delivery.destination if is_result else f"{delivery.destination} ({delivery.kind})"


def end_job(connection: Connection, job: Job, now: datetime) -> None:
    """End a job whose deliveries have all ended: done, or failed with the reasons of those that failed.

    A job that failed for want of proofs is done when the last of them comes late. A rejected job ended earlier; the
    outcome of its refusal reports is in their rows and in its timeline.
    """
    late = job.state is JobState.FAILED and job.code in (NOT_DELIVERED, NOT_PROVEN)
    if job.state is not JobState.DELIVERING and not late:
        return
    if connection.execute(select(func.count()).where(results_of(job.id), IS_OPEN)).scalar_one():
        return
    failed = connection.execute(
        select(deliveries.c.destination, deliveries.c.state, deliveries.c.reason)
        .where(results_of(job.id), deliveries.c.state.in_([state.value for state in FAILED_DELIVERIES]))
        .order_by(deliveries.c.id)
    ).all()
    if late:
        if not failed:
            words = "every destination has the results; the last proof came late"
            move(connection, job, JobAction.PROVE, JobState.DONE, now, "done", words, code=None, reason=None)
        return
    if not failed:
        move(connection, job, JobAction.SETTLE, JobState.DONE, now, "done", "every destination has the results")
        return
    is_lost = any(row.state == DeliveryState.GIVEN_UP.value for row in failed)
    begins = "not delivered everywhere" if is_lost else "sent, but not proven everywhere"
    reason = f"{begins}: " + "; ".join(f"{row.destination}: {row.reason}" for row in failed)
    code = NOT_DELIVERED if is_lost else NOT_PROVEN
    move(connection, job, JobAction.SETTLE, JobState.FAILED, now, "failed", reason, code=code, reason=reason)


def remove(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Remove delivery rows, and what was asked about them."""
    ids = select(deliveries.c.id).where(condition)
    connection.execute(delete(commitments).where(commitments.c.delivery_id.in_(ids)))
    connection.execute(delete(deliveries).where(condition))


def forget_questions(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Earlier requests about these rows are no longer waited for; a report about one of them still counts."""
    ids = select(deliveries.c.id).where(condition)
    connection.execute(
        update(commitments)
        .where(commitments.c.delivery_id.in_(ids), commitments.c.state == CommitmentState.ASKED.value)
        .values(state=CommitmentState.UNANSWERED.value)
    )


def delivery_values(job_id: int, delivery: NewDelivery, now: datetime) -> dict[str, Any]:
    """A row of a delivery that is due now."""
    return {
        "job_id": job_id,
        "destination": delivery.destination,
        "files": [str(file) for file in delivery.files],
        "kind": delivery.kind.value,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "refusals": 0,
        "not_before": now,
        "created_at": now,
    }
