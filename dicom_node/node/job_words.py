"""Jobs, deliveries and timelines as words and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from db.records import AssociationEnd, AuditEntry, Delivery, DeliveryState, Job, JobEvent, JobState, SeriesActivity


def plain(record: Job | Delivery | JobEvent | SeriesActivity | AuditEntry) -> dict[str, Any]:
    """A record for JSON: times as ISO 8601 in UTC, states as their names."""
    return {name: _plain_value(value) for name, value in asdict(record).items()}


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
            return ["Done.", *delivery_lines(deliveries)]
        case JobState.REJECTED:
            return [f"Not analysed: {job.reason} [{job.code}]", *delivery_lines(deliveries)]
        case JobState.FAILED | JobState.CANCELLED:
            again = f"`wmh-node jobs retry {job.id}` retries it."
            return [f"{job.state.capitalize()}: {job.reason}.", *delivery_lines(deliveries), again]


def delivery_lines(deliveries: Sequence[Delivery]) -> list[str]:
    """One line per destination."""
    return [f"{one.destination}: {_delivery(one)}" for one in deliveries]


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
    return f"Waiting for a worker for {-wait:.0f} s; is `wmh-node work` (or `serve`) running?"


def _running(job: Job, now: datetime) -> str:
    attempt = f"{job.lease_owner}, attempt {job.attempts} of {job.max_attempts}"
    if job.lease_expires is not None and job.lease_expires < now:
        silent = (now - job.lease_expires).total_seconds()
        return (
            f"Its worker went silent ({attempt}): the lease expired {silent:.0f} s ago; the next free worker takes "
            "the job."
        )
    return f"Being analysed by {attempt}."


def _delivery(one: Delivery) -> str:
    match one.state:
        case DeliveryState.PENDING if one.lease_owner is not None:
            return f"being sent, attempt {one.attempts}"
        case DeliveryState.PENDING if one.reason is None:
            return "waiting to be sent"
        case DeliveryState.PENDING:
            return f"not sent in {one.attempts} attempts, next {shown_time(one.not_before)}: {one.reason}"
        case DeliveryState.SENT:
            return f"sent {shown_time(one.settled_at or one.created_at)}"
        case _:
            return f"{one.state}" + (f": {one.reason}" if one.reason else "")


def _plain_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
