"""A queued job about an older state of its series is not worth computing, nor is an older verdict worth sending."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, or_, select, update

from db.delivery_transitions import DeliveryAction, states_before
from db.job_events import note
from db.records import DeliveryState, Job, JobState, delivery_of
from db.schema import deliveries, jobs
from db.series import jobs_of_series
from db.settling import remove, results_of
from db.transitions import JobAction, lock_job, move

SUPERSEDED: Final = "superseded"
PATIENT_CORRECTED: Final = "patient_corrected"
BETTER_LATER: Final = "better_flair_later"


def supersede(connection: Connection, earlier: Sequence[Job], newer: Job, now: datetime) -> None:
    """Cancel the earlier jobs of a series that no worker has begun, and unsent refusal reports of rejected ones."""
    for job in earlier:
        if job.state is JobState.QUEUED:
            _cancel_queued(connection, job, newer, now)
        elif job.state is JobState.REJECTED:
            _take_back_answers(connection, job, newer, now)


def correct_patient(connection: Connection, earlier: Sequence[Job], newer: Job, now: datetime) -> None:
    """Take the results of a series out that came again for another patient: they belong to no patient.

    What is not sent yet is not sent, what runs is cancelled, and `code` keeps all of them out of the follow-up
    (`db.scans`). What a PACS has is for the PACS to correct; the report of the newer job names it as its predecessor.
    """
    reason = f"the same images arrived again for another patient: superseded by job {newer.id}"
    for earlier_job in earlier:
        job = lock_job(connection, earlier_job.id)
        if job.code == PATIENT_CORRECTED:
            continue  # by an earlier correction, which its reason names
        withdraw_deliveries(connection, job.id, now)
        values = {"code": PATIENT_CORRECTED, "reason": reason}
        if job.state.has_ended:
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
            note(connection, job.id, now, SUPERSEDED, reason)
        else:
            move(connection, job, JobAction.CANCEL, JobState.CANCELLED, now, SUPERSEDED, reason, **values)


def name_better(connection: Connection, job_id: int, newer: Job, name: str, now: datetime) -> None:
    """Say of a job that a better FLAIR of its study came later; one that no worker has begun is cancelled.

    Its result stays where it is: the newest job of a day comes first in the follow-up (`db.scans`).
    """
    reason = f"a better FLAIR of the study arrived later, {name}: see job {newer.id}"
    job = lock_job(connection, job_id)
    values = {"code": BETTER_LATER, "reason": reason}
    if job.state is JobState.QUEUED:
        move(connection, job, JobAction.SUPERSEDE, JobState.CANCELLED, now, SUPERSEDED, reason, **values)
        return
    if job.state in (JobState.DONE, JobState.DELIVERING):
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    note(connection, job.id, now, SUPERSEDED, reason)


def supersede_ended_attempt(connection: Connection, job: Job, why: str, now: datetime) -> Job | None:
    """Cancel a job whose attempt ended without a result, when a newer one of its series is there; else None.

    It would be tried again after the newer one: an older result must not follow a newer one.

    Args:
        job: running, locked.
        why: what ended the attempt.
    """
    newest = jobs_of_series(connection, job.series_instance_uid)[-1]
    if newest.id == job.id:
        return None
    reason = f"{why}; more instances were received since, and job {newest.id} replaces it"
    return move(
        connection, job, JobAction.SUPERSEDE, JobState.CANCELLED, now, SUPERSEDED, reason,
        code=SUPERSEDED, reason=reason,
    )  # fmt: skip


def forget_answers(connection: Connection, job: Job) -> None:
    """Remove the delivery rows of a rejected job that is retried; the timeline keeps their outcome.

    A report that a destination has, or may have, stays with the job as `answered`.

    Args:
        job: locked.
    """
    of_job = deliveries.c.job_id == job.id
    # Locked before they are read: a sender's claim does not lock the job; it has ended now, or finds nothing.
    rows = map(delivery_of, connection.execute(select(deliveries).where(of_job).with_for_update()).all())
    if job.report is not None and any(delivery.report_may_be_out for delivery in rows):
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(answered=dict(job.report)))
    remove(connection, of_job)


def _cancel_queued(connection: Connection, job: Job, newer: Job, now: datetime) -> None:
    current = lock_job(connection, job.id)
    if current.state is not JobState.QUEUED:  # a worker took it meanwhile
        return
    reason = f"more instances were received before it began; job {newer.id} replaces it"
    move(
        connection, current, JobAction.SUPERSEDE, JobState.CANCELLED, now, SUPERSEDED, reason,
        code=SUPERSEDED, reason=reason,
    )  # fmt: skip


def _take_back_answers(connection: Connection, job: Job, newer: Job, now: datetime) -> None:
    lock_job(connection, job.id)  # a sender that has just sent it is waited for
    if withdraw_deliveries(connection, job.id, now):
        note(connection, job.id, now, SUPERSEDED, f"no refusal report: job {newer.id} is about more images")


def withdraw_deliveries(connection: Connection, job_id: int, now: datetime) -> int:
    """Cancel the pending deliveries of a locked job; returns how many there were.

    A sender that is sending one loses the lease and ends its C-STORE: the destination may then have the report.
    """
    connection.execute(  # what is stored there counts as sent: nothing more is asked
        update(deliveries)
        .where(results_of(job_id), deliveries.c.state == DeliveryState.SENT.value, deliveries.c.settled_at.is_(None))
        .values(settled_at=now, lease_owner=None, lease_expires=None)
    )
    # One statement: a claim that commits in between is waited for, and its lease is seen.
    return connection.execute(
        update(deliveries)
        .where(results_of(job_id), deliveries.c.state.in_(states_before(DeliveryAction.CANCEL)))
        .values(
            state=DeliveryState.CANCELLED.value,
            settled_at=now,
            report_out=or_(deliveries.c.report_out, deliveries.c.lease_owner.is_not(None)),
            lease_owner=None,
            lease_expires=None,
        )
    ).rowcount
