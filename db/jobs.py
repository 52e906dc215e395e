"""The job table: enqueue, claim, lease, heartbeat, retry, and the ways a job ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from db.engine import Database
from db.errors import IllegalTransition, LeaseLost, NoSuchJob
from db.events import JobEvent, events_of, note
from db.inbox import Clock, mark_judged, note_arrival, utc_now
from db.job_states import TERMINAL, JobState, check_transition
from db.schema import deliveries, jobs, series

DEFAULT_MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Job:
    """The analysis of one state of one series; times in UTC.

    Attributes:
        instances_digest: of the instances that the job was made for.
        predecessor_id: an earlier job of the series, whose result lacks slices that came later.
        attempts: claims so far, this one included.
        due_at: not to be claimed before.
        code, reason: why it was rejected, failed, or is to be tried again.
        measurements: the content of measurements.json once results are written.
    """

    id: int
    series_instance_uid: str
    study_instance_uid: str
    instances_digest: str
    instance_count: int
    predecessor_id: int | None
    state: JobState
    attempts: int
    max_attempts: int
    due_at: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    code: str | None
    reason: str | None
    measurements: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class NewDelivery:
    """A result set for one destination; `files` are relative to STORAGE."""

    destination: str
    files: list[str]


class JobTable:
    """Jobs, safe to use from any number of workers on any number of machines.

    Each method is one transaction: after kill -9 at any instruction a job is either before or after the step.
    """

    def __init__(self, database: Database, clock: Clock = utc_now, max_attempts: int = DEFAULT_MAX_ATTEMPTS) -> None:
        self._database = database
        self._clock = clock
        self._max_attempts = max_attempts

    # -- entering

    def enqueue(self, series_instance_uid: str, instances_digest: str, instance_count: int) -> Job:
        """The job for this state of this series: a new one, or the one that is there already.

        Where an earlier job of the series exists, the new one names it as predecessor; one that is still queued is
        cancelled, since its result would be out of date before it is made.
        """
        now = self._clock()
        with self._database.write() as connection:
            # The series' row is the lock that keeps two completers from enqueueing at once (PostgreSQL).
            study = connection.execute(
                select(series.c.study_instance_uid)
                .where(series.c.series_instance_uid == series_instance_uid)
                .with_for_update()
            ).scalar()
            if study is None:
                raise NoSuchJob(f"no instance of series {series_instance_uid} was received")
            mark_judged(connection, series_instance_uid, instance_count)
            earlier = connection.execute(
                select(jobs).where(jobs.c.series_instance_uid == series_instance_uid).order_by(jobs.c.id)
            ).all()
            for row in earlier:
                if row.instances_digest == instances_digest:
                    return _job(row)
            job_id = self._insert(connection, series_instance_uid, study, instances_digest, instance_count, earlier)
            for row in earlier:
                if row.state == JobState.QUEUED:
                    self._move(connection, _job(row), JobState.CANCELLED, "superseded", f"by job {job_id}")
            note_arrival(connection, job_id, series_instance_uid)
            after = f"; a later state of job {earlier[-1].id}" if earlier else ""
            note(connection, job_id, now, "queued", f"series complete with {instance_count} instances{after}")
            return self._get(connection, job_id)

    def _insert(
        self,
        connection: Connection,
        series_uid: str,
        study_uid: str,
        digest: str,
        count: int,
        earlier: Sequence[Row[Any]],
    ) -> int:
        now = self._clock()
        row = {
            "series_instance_uid": series_uid,
            "study_instance_uid": study_uid,
            "instances_digest": digest,
            "instance_count": count,
            "predecessor_id": earlier[-1].id if earlier else None,
            "state": JobState.QUEUED.value,
            "attempts": 0,
            "max_attempts": self._max_attempts,
            "due_at": now,
            "created_at": now,
            "updated_at": now,
        }
        return int(connection.execute(insert(jobs).returning(jobs.c.id), row).scalar_one())

    # -- working

    def claim(self, owner: str, lease_seconds: float) -> Job | None:
        """Take the job that is due longest, or None; the caller owns it until the lease ends or is renewed.

        A running job whose lease ran out is taken too. One whose attempts are spent then fails on the way.
        """
        now = self._clock()
        with self._database.write() as connection:
            while (row := connection.execute(self._claimable(now)).first()) is not None:
                job = _job(row)
                if job.attempts >= job.max_attempts:
                    reason = f"attempt {job.attempts} of {job.max_attempts} ended without a word (its worker died)"
                    self._move(connection, job, JobState.FAILED, "failed", reason, reason=reason)
                    continue
                attempt = f"attempt {job.attempts + 1} of {job.max_attempts}"
                what = "claimed" if job.state is JobState.QUEUED else "lease ran out, claimed again"
                return self._move(
                    connection,
                    job,
                    JobState.RUNNING,
                    what,
                    f"by {owner}, {attempt}",
                    attempts=job.attempts + 1,
                    lease_owner=owner,
                    lease_expires=now + timedelta(seconds=lease_seconds),
                )
            return None

    def _claimable(self, now: datetime) -> Any:
        queued = and_(jobs.c.state == JobState.QUEUED.value, jobs.c.due_at <= now)
        expired = and_(jobs.c.state == JobState.RUNNING.value, jobs.c.due_at <= now, jobs.c.lease_expires <= now)
        return (
            select(jobs)
            .where(or_(queued, expired))
            .order_by(jobs.c.due_at, jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )

    def heartbeat(self, job_id: int, owner: str, lease_seconds: float) -> bool:
        """Renew the lease; False when the job belongs to somebody else now, or to nobody."""
        now = self._clock()
        with self._database.write() as connection:
            renewed = connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.lease_owner == owner, jobs.c.state == JobState.RUNNING.value)
                .values(lease_expires=now + timedelta(seconds=lease_seconds))
            )
            return renewed.rowcount == 1

    def deliver(
        self, job_id: int, owner: str, measurements: dict[str, Any], new_deliveries: Sequence[NewDelivery]
    ) -> Job:
        """running -> delivering, with one delivery row a destination; -> done when there is no destination.

        Raises:
            LeaseLost: the job is no longer the caller's; nothing was written.
        """
        now = self._clock()
        with self._database.write() as connection:
            job = self._owned(connection, job_id, owner)
            for delivery in new_deliveries:
                row = {
                    "job_id": job_id,
                    "destination": delivery.destination,
                    "files": list(delivery.files),
                    "state": "pending",
                    "attempts": 0,
                    "due_at": now,
                    "created_at": now,
                }
                # A job retried after delivery began keeps its rows: what a destination has already is not sent again.
                known = connection.execute(
                    select(deliveries.c.id).where(
                        deliveries.c.job_id == job_id, deliveries.c.destination == delivery.destination
                    )
                ).scalar()
                if known is None:
                    connection.execute(insert(deliveries), row)
            after = JobState.DELIVERING if new_deliveries else JobState.DONE
            names = ", ".join(delivery.destination for delivery in new_deliveries) or "no destination is configured"
            return self._move(
                connection, job, after, "results written", f"for {names}", measurements=measurements, **_UNLEASED
            )

    def retry_later(self, job_id: int, owner: str, reason: str, delay_seconds: float) -> Job:
        """Put a job back to be tried again after a while, or fail it when its attempts are spent."""
        now = self._clock()
        with self._database.write() as connection:
            job = self._owned(connection, job_id, owner)
            if job.attempts >= job.max_attempts:
                text = f"{job.attempts} attempts spent; the last: {reason}"
                return self._move(connection, job, JobState.FAILED, "failed", text, reason=text, **_UNLEASED)
            text = f"{reason}; again in {delay_seconds:.0f} s"
            return self._move(
                connection,
                job,
                JobState.QUEUED,
                "attempt failed",
                text,
                reason=reason,
                due_at=now + timedelta(seconds=delay_seconds),
                **_UNLEASED,
            )

    def reject(self, job_id: int, owner: str, code: str, reason: str) -> Job:
        """End a job whose series cannot be analysed."""
        with self._database.write() as connection:
            job = self._owned(connection, job_id, owner)
            return self._move(
                connection, job, JobState.REJECTED, "rejected", reason, code=code, reason=reason, **_UNLEASED
            )

    def fail(self, job_id: int, owner: str, reason: str) -> Job:
        """End a job at once, with attempts left, where trying again cannot help."""
        with self._database.write() as connection:
            job = self._owned(connection, job_id, owner)
            return self._move(connection, job, JobState.FAILED, "failed", reason, reason=reason, **_UNLEASED)

    # -- by hand

    def cancel(self, job_id: int, who: str | None = None) -> Job:
        """Stop a job; what is being computed or sent for it is dropped.

        Raises:
            IllegalTransition: it has ended already.
        """
        with self._database.write() as connection:
            job = self._locked(connection, job_id)
            connection.execute(
                update(deliveries)
                .where(deliveries.c.job_id == job_id, deliveries.c.state == "pending")
                .values(state="cancelled", **_UNLEASED)
            )
            return self._move(connection, job, JobState.CANCELLED, "cancelled", "", who, **_UNLEASED)

    def retry(self, job_id: int, who: str | None = None) -> Job:
        """Begin an ended job anew; one whose results are written already is only delivered again.

        Raises:
            IllegalTransition: it has not ended, or it is done.
        """
        now = self._clock()
        with self._database.write() as connection:
            job = self._locked(connection, job_id)
            if job.state not in TERMINAL or job.state is JobState.DONE:
                raise IllegalTransition(
                    f"job {job_id} is {job.state}: only rejected, failed or cancelled ones are retried"
                )
            undelivered = connection.execute(
                update(deliveries)
                .where(deliveries.c.job_id == job_id, deliveries.c.state.in_(("given_up", "cancelled")))
                .values(state="pending", attempts=0, due_at=now, created_at=now, reason=None)
            ).rowcount
            if undelivered and job.state is JobState.FAILED:
                return self._move(connection, job, JobState.DELIVERING, "retried", "delivery only", who, reason=None)
            if job.instances_digest.startswith("rejected:"):
                raise IllegalTransition(
                    f"job {job_id} stands for a series that was turned away before a job was made: {job.reason} "
                    "Send the series again after mending it"
                )
            return self._move(
                connection, job, JobState.QUEUED, "retried", "", who,
                attempts=0, max_attempts=self._max_attempts, due_at=now, code=None, reason=None,
            )  # fmt: skip

    # -- asking

    def get(self, job_id: int) -> Job:
        """One job.

        Raises:
            NoSuchJob: no job has that number.
        """
        with self._database.read() as connection:
            return self._get(connection, job_id)

    def list(self, states: Sequence[JobState] | None = None, limit: int = 100) -> list[Job]:
        """Jobs, newest first."""
        query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if states:
            query = query.where(jobs.c.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(query)]

    def of_series(self, series_instance_uid: str) -> Sequence[Job]:
        """Every job of a series, oldest first."""
        query = select(jobs).where(jobs.c.series_instance_uid == series_instance_uid).order_by(jobs.c.id)
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(query)]

    def events(self, job_id: int) -> Sequence[JobEvent]:
        """A job's timeline, oldest first."""
        with self._database.read() as connection:
            self._get(connection, job_id)
            return events_of(connection, job_id)

    # -- inside a transaction

    def _get(self, connection: Connection, job_id: int) -> Job:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
        if row is None:
            raise NoSuchJob(f"there is no job {job_id}; `wmh-node jobs list` shows those there are")
        return _job(row)

    def _locked(self, connection: Connection, job_id: int) -> Job:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
        if row is None:
            raise NoSuchJob(f"there is no job {job_id}; `wmh-node jobs list` shows those there are")
        return _job(row)

    def _owned(self, connection: Connection, job_id: int, owner: str) -> Job:
        job = self._locked(connection, job_id)
        if job.state is not JobState.RUNNING or job.lease_owner != owner:
            now_with = f"{job.state}, leased to {job.lease_owner or 'nobody'}"
            raise LeaseLost(f"job {job_id} is no longer {owner}'s: it is {now_with}")
        return job

    def _move(
        self,
        connection: Connection,
        job: Job,
        after: JobState,
        what: str,
        detail: str,
        who: str | None = None,
        **values: Any,
    ) -> Job:
        check_transition(job.id, job.state, after)
        now = self._clock()
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(state=after.value, updated_at=now, **values))
        note(connection, job.id, now, what, detail, who)
        return self._get(connection, job.id)


_UNLEASED: dict[str, Any] = {"lease_owner": None, "lease_expires": None}


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    return Job(**values | {"state": JobState(values["state"])})
