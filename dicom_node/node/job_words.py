"""Jobs, deliveries and timelines as words and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from db.records import (
    AssociationEnd,
    AuditEntry,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Job,
    JobEvent,
    JobState,
    Priority,
    Proof,
    SeriesActivity,
)


def plain(record: Job | Delivery | JobEvent | SeriesActivity | AuditEntry) -> dict[str, Any]:
    """A record for JSON: times as ISO 8601 in UTC, states as their names.

    A delivery's `state` keeps the words of 0.1.0, which scripts read; `delivery_state` is the exact one.
    """
    values = {name: _plain_value(value) for name, value in asdict(record).items()}
    if isinstance(record, Delivery):
        values |= {"state": _state_words(record.state), "delivery_state": str(record.state)}
    return values


def _state_words(state: DeliveryState) -> str:
    return str(state).replace("_", " ")


def shown_time(at: datetime) -> str:
    """UTC, to the second: `2026-11-24 10:49:17Z`."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def job_standing(job: Job, deliveries: Sequence[Delivery], now: datetime) -> list[str]:
    """What the job waits for, or how it ended: one or more sentences."""
    match job.state:
        case JobState.QUEUED:
            return [_queued(job, now)]
        case JobState.RUNNING:
            return [_running(job, now)]
        case JobState.DELIVERING:
            return ["Analysis finished; sending results.", *delivery_lines(deliveries)]
        case JobState.DONE:
            return ["Done.", *withdrawal_line(job), *delivery_lines(deliveries)]
        case JobState.REJECTED:
            return [f"Not analysed: {job.reason} [{job.code}]", *delivery_lines(deliveries)]
        case JobState.FAILED | JobState.CANCELLED:
            again = f"`wmh-node jobs retry {job.id}` retries it."
            said = [f"{job.state.capitalize()}: {job.reason}.", *withdrawal_line(job), *delivery_lines(deliveries)]
            return said if job.withdrawn_at is not None else [*said, again]


def withdrawal_line(job: Job) -> list[str]:
    """That its results were withdrawn, by whose account and why; nothing when they were not."""
    if job.withdrawn_at is None:
        return []
    return [f"Results withdrawn {shown_time(job.withdrawn_at)} by {job.withdrawn_by}: {job.withdrawn_reason}."]


def delivery_lines(deliveries: Sequence[Delivery]) -> list[str]:
    """One line per destination."""
    return [f"{_to(delivery)}: {_delivery(delivery)}" for delivery in deliveries]


def _to(delivery: Delivery) -> str:
    is_result = delivery.kind is DeliveryKind.RESULTS
    return delivery.destination if is_result else f"{delivery.destination} ({delivery.kind})"


def series_standing(activity: SeriesActivity, now: datetime) -> str:
    """Why a series that was received has no verdict yet."""
    quiet = (now - activity.last_received_at).total_seconds()
    if activity.open_associations:
        why = "an association that sent some of them is still open"
    elif activity.last_end is AssociationEnd.RELEASED:
        why = "it is complete after the quiet time"
    else:
        why = "its association did not end normally, so the node waits for more"
    return f"{activity.instance_count} instances, the last one {quiet:.0f} s ago; {why}."


def _queued(job: Job, now: datetime) -> str:
    wait = (job.not_before - now).total_seconds()
    if wait > 0:
        return f"Waiting {wait:.0f} s more before attempt {job.attempts + 1} of {job.max_attempts}: {job.reason}."
    asked = "" if job.priority is Priority.MEDIUM else f" with {job.priority} priority"
    return f"Waiting for a worker{asked} for {-wait:.0f} s; is `wmh-node work` (or `serve`) running?"


def _running(job: Job, now: datetime) -> str:
    attempt = f"{job.lease_owner}, attempt {job.attempts} of {job.max_attempts}"
    if job.lease_expires is not None and job.lease_expires < now:
        silent = (now - job.lease_expires).total_seconds()
        return (
            f"Its worker went silent ({attempt}): the lease expired {silent:.0f} s ago; the next free worker takes "
            "the job."
        )
    return f"Being analysed by {attempt}."


def _delivery(delivery: Delivery) -> str:
    settled = shown_time(delivery.settled_at or delivery.created_at)
    match delivery.state:
        case DeliveryState.PENDING:
            return _pending(delivery)
        case DeliveryState.SENT:
            return _awaited(delivery) if delivery.is_open else f"sent {settled}"
        case DeliveryState.COMMITTED:
            return f"sent and {'committed' if delivery.proof is Proof.COMMIT else 'verified'} {settled}"
        case _:
            return _state_words(delivery.state) + (f": {delivery.reason}" if delivery.reason else "")


def _pending(delivery: Delivery) -> str:
    if delivery.lease_owner is not None:
        return f"being sent, attempt {delivery.attempts}"
    if delivery.reason is None:
        return "waiting to be sent"
    return f"not sent in {delivery.attempts} attempts, next {shown_time(delivery.not_before)}: {delivery.reason}"


def _awaited(delivery: Delivery) -> str:
    what = "storage commitment" if delivery.proof is Proof.COMMIT else "verification"
    why = f" ({delivery.reason})" if delivery.reason else ""
    return f"stored, waiting for {what}; next step {shown_time(delivery.not_before)}{why}"


def _plain_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
