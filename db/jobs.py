"""The job table: enqueue, claim, lease, heartbeat, and the ways in which a job ends."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from db.audit import record_action
from db.claimable import CLAIMED_WORDS, EXPIRED, QUEUED, SHARED, is_in
from db.delivery_transitions import DeliveryAction, states_before
from db.engine.bell import Wake
from db.engine.database import Database
from db.engine.values import require_json
from db.errors import IllegalTransition, LeaseLost
from db.job_events import PRIORITISED, note, timeline
from db.one_statement import claim_queued, deliver_first
from db.priorities import place_of
from db.records import (
    DeliveryKind,
    DeliveryState,
    Job,
    JobEvent,
    JobState,
    NewDelivery,
    Priority,
    delivery_of,
    job_of,
    review_state,
)
from db.schema import associations, deliveries, instances, job_events, jobs, series, series_associations
from db.series import (
    get_job_of,
    jobs_of_series,
    lock_series,
    mark_closed,
    moved_by_hand,
    newer_verdict,
    priority_of,
    purged_count,
    same_job,
)
from db.settling import IS_OPEN, delivery_values, forget_questions, results_of
from db.supersede import (
    BETTER_LATER,
    correct_patient,
    forget_answers,
    name_better,
    supersede,
    supersede_ended_attempt,
    withdraw_deliveries,
)
from db.transitions import JobAction, get_job, insert_job, lock_job, move

DEFAULT_MAX_ATTEMPTS: Final = 3
SKIPPED: Final = "better_flair_in_study"
_WITH_RESULT: Final = (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING, JobState.DONE)
_SPENT: Final = "attempts_spent"
_BATCH: Final = 500  # UIDs in one query
# Lines of the timeline that are counted.
_RETRIED: Final = "retried"
_TAKEN_OVER: Final = "taken over"


class JobTable:
    """Jobs and their states. Safe to use from several threads, processes and machines.

    Each method is one transaction: after a kill at any instruction a job is either before or after the step.

    Args:
        max_attempts: how often a job made here is tried.
        only_shared: claim only what the object store has for other machines (`note_shared`).
    """

    def __init__(
        self, database: Database, max_attempts: int = DEFAULT_MAX_ATTEMPTS, *, only_shared: bool = False
    ) -> None:
        self._database = database
        self._max_attempts = max_attempts
        self._only_shared = only_shared

    # Making

    def enqueue(
        self,
        series_instance_uid: str,
        instances_digest: str,
        instance_count: int,
        corrected_from: int | None = None,
    ) -> Job:
        """Make the job about this state of the series, or return the existing one.

        An earlier job of the series becomes the predecessor; one that is only queued is superseded, and so is a
        rejected job's refusal report that is not sent yet. When another process has made a job about more instances,
        that job is returned and nothing changes.

        Args:
            instances_digest: sha256 that names the set of instances.
            instance_count: the set is the series' first so many instances (`StoredInstance.ordinal`).
            corrected_from: from this ordinal on the instances are for another patient: jobs about fewer are out
                (`correct_patient`).
        """
        now = self._database.clock()
        with self._database.write(Wake.JOBS) as connection:
            row = lock_series(connection, series_instance_uid)
            earlier = jobs_of_series(connection, series_instance_uid)
            if (newer := newer_verdict(row, earlier, instance_count)) is not None:
                return newer
            mark_closed(connection, series_instance_uid, instance_count)
            if (known := same_job(earlier, instances_digest)) is not None:
                return known
            by_hand = moved_by_hand(connection, earlier)
            values = {
                "series_instance_uid": series_instance_uid,
                "study_instance_uid": None if row is None else row.study_instance_uid,
                "instances_digest": instances_digest,
                "instance_count": instance_count,
                "predecessor_id": earlier[-1].id if earlier else None,
                "max_attempts": self._max_attempts,
                "priority": priority_of(row, earlier, by_hand).value,
            }
            job = insert_job(connection, JobAction.ENQUEUE, JobState.QUEUED, now, values)
            if job is None:  # the series has no row, so nothing kept the other process out
                return get_job_of(connection, series_instance_uid, instances_digest)
            supersede(connection, earlier, job, now)
            if corrected_from is not None:
                correct_patient(connection, [job for job in earlier if job.instance_count < corrected_from], job, now)
            waited = None if row is None else (now - row.last_received_at).total_seconds()
            note(connection, job.id, now, "queued", _queued_words(job, waited))
            if by_hand is not None:  # noted, so that it also holds for what takes this one's place
                note(connection, job.id, now, PRIORITISED, f"{job.priority}, as job {by_hand.id} was by hand")
            return job

    # Working

    def claim(self, owner: str, lease_seconds: float, *, take_over: bool = True) -> Job | None:
        """Claim a job: one whose worker went silent, otherwise the first in the queue (`db.priorities`); None when
        there is none.

        A job whose workers went silent in too many of its attempts fails here, with that reason; one whose worker went
        silent is superseded here when a newer one of its series is there. A job waits for the earlier one of its series
        that is running: its result names that one as the predecessor.

        Args:
            owner: name of the lease's holder, unique to this process.
            lease_seconds: how long the claim holds without a heartbeat.
            take_over: whether a job whose lease ran out may be taken. No, right after the machine's clock was set
                forward: its worker may be well, and renews the lease soon.
        """
        now = self._database.clock()
        if self._database.is_sqlite and not self._something_is_due(now, take_over):
            return None  # read without the write lock, so that idle workers block no other process
        if not self._database.is_sqlite and take_over:
            with self._database.single() as connection:
                if (claimed := self._claim_queued(connection, owner, now, lease_seconds)) is not None:
                    return claimed
        with self._database.write() as connection:
            while (job := _next_due(connection, now, take_over, self._only_shared)) is not None:
                if job.state is JobState.QUEUED:
                    return self._lease(connection, job, owner, now, lease_seconds)
                if supersede_ended_attempt(connection, job, f"the worker {job.lease_owner} went silent", now):
                    continue
                silent = _silent_attempts(connection, job) + 1  # the present one
                if not _is_spent(job, silent):
                    return self._lease(connection, job, owner, now, lease_seconds)
                _fail_silent(connection, job, silent, now)
            return None

    def _claim_queued(self, connection: Connection, owner: str, now: datetime, lease_seconds: float) -> Job | None:
        if self._only_shared:
            return claim_queued(connection, owner, now, lease_seconds, only_shared=True)
        return claim_queued(connection, owner, now, lease_seconds)

    def _something_is_due(self, now: datetime, take_over: bool) -> bool:
        queries = _queries(self._only_shared)[0 if take_over else 1 :]
        with self._database.read() as connection:
            return any(connection.execute(query, {"now": now}).first() is not None for query in queries)

    def _lease(self, connection: Connection, job: Job, owner: str, now: datetime, lease_seconds: float) -> Job:
        attempt = _attempt_words(job.attempts + 1, job.max_attempts)
        if job.state is JobState.QUEUED:
            waited = max((now - job.not_before).total_seconds(), 0.0)
            what, detail = "claimed", CLAIMED_WORDS % (owner, attempt, f"{waited:.1f}")
        else:
            what, detail = _TAKEN_OVER, f"by {owner}, {attempt}: the lease of {job.lease_owner} ran out"
        return move(
            connection, job, JobAction.CLAIM, JobState.RUNNING, now, what, detail,
            attempts=job.attempts + 1, lease_owner=owner, lease_expires=now + timedelta(seconds=lease_seconds),
        )  # fmt: skip

    def heartbeat(self, job_id: int, owner: str, lease_seconds: float) -> bool:
        """Prolong a lease; False when it is lost: another has the job, or it was cancelled.

        A lease that expired and that no worker took still belongs to the owner.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            expires = now + timedelta(seconds=lease_seconds)
            prolonged = connection.execute(_PROLONG, {"job": job_id, "owner": owner, "expires": expires})
            return prolonged.rowcount == 1

    def deliver(
        self,
        job_id: int,
        owner: str,
        measurements: Mapping[str, Any],
        new_deliveries: Sequence[NewDelivery],
        report: Mapping[str, str] | None = None,
    ) -> Job:
        """The result set is in the outbox: add one delivery row per destination; the job is done at once when there is
        none.

        A destination that has the results already, from before they were lost, is left out.

        Args:
            report: the UIDs of the report among the results, for `earlier_report` of a later job.

        Raises:
            LeaseLost: the job is not the owner's any more; nothing was written.
            InvalidMeasurements: they are no JSON (NaN and infinity are none either: undefined is null).
        """
        require_json(f"the measurements of job {job_id}", measurements)
        now = self._database.clock()
        wakes = Wake.DELIVERIES if new_deliveries else None
        if not self._database.is_sqlite:
            model = _model_in(measurements)
            detail = _results_written([] if model is None else [f"by model {model}"], measurements, new_deliveries)
            with self._database.single(wakes) as connection:
                first = deliver_first(connection, job_id, owner, measurements, new_deliveries, report, detail, now)
            if first is not None:
                return first
        with self._database.write(wakes) as connection:
            job = _owned(connection, job_id, owner)
            due = _make_due(connection, job_id, new_deliveries, now) if new_deliveries else []
            unproven = select(func.count()).where(results_of(job_id), IS_OPEN)  # from before the results were lost
            state = JobState.DELIVERING if due or connection.execute(unproven).scalar_one() else JobState.DONE
            detail = _results_written(_made_by(connection, job, measurements), measurements, due)
            return move(
                connection, job, JobAction.DELIVER, state, now, "results written", detail,
                measurements=dict(measurements), report=None if report is None else dict(report),
                code=None, reason=None, review=review_state(measurements),
            )  # fmt: skip

    def retry_later(self, job_id: int, owner: str, reason: str, delay_seconds: float) -> Job:
        """The attempt failed: queue the job again, or fail it when its attempts are used, or when a newer one of its
        series is there cancel it as superseded.

        Raises:
            LeaseLost: the job is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job = _owned(connection, job_id, owner)
            if superseded := supersede_ended_attempt(connection, job, f"the attempt failed: {reason}", now):
                return superseded
            silent = _silent_attempts(connection, job)
            if _is_spent(job, silent):
                spent = f"{_attempts(job, silent)} used, the last one failed: {reason}"
                return move(
                    connection,
                    job,
                    JobAction.RETRY_LATER,
                    JobState.FAILED,
                    now,
                    "failed",
                    spent,
                    code=_SPENT,
                    reason=spent,
                )
            attempt = _attempt_words(job.attempts, job.max_attempts)
            detail = f"{reason}; {attempt}, again in {delay_seconds:g} s"
            not_before = now + timedelta(seconds=delay_seconds)
            return move(
                connection,
                job,
                JobAction.RETRY_LATER,
                JobState.QUEUED,
                now,
                "attempt failed",
                detail,
                reason=reason,
                not_before=not_before,
            )

    def put_back(self, job_id: int, owner: str, reason: str, delay_seconds: float) -> Job:
        """The attempt failed for another reason than the job, such as a full disk: queue it again without counting the
        attempt.

        When a newer one of its series is there, the job is cancelled as superseded.

        Raises:
            LeaseLost: the job is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job = _owned(connection, job_id, owner)
            if superseded := supersede_ended_attempt(connection, job, reason, now):
                return superseded
            not_before = now + timedelta(seconds=delay_seconds)
            place = place_of(job.priority, not_before)
            return move(
                connection,
                job,
                JobAction.PUT_BACK,
                JobState.QUEUED,
                now,
                "put back",
                f"{reason}; this attempt is not counted, again in {delay_seconds:g} s at the earliest",
                attempts=job.attempts - 1,
                reason=reason,
                not_before=not_before,
                # It keeps its place: waiting counts, and this was no attempt. A later one is of a clock that was ahead.
                place=place if job.place is None else min(job.place, place),
            )

    def reject(
        self,
        job_id: int,
        owner: str,
        code: str,
        reason: str,
        answers: Sequence[NewDelivery] = (),
        report: Mapping[str, str] | None = None,
        remark: str = "",
    ) -> Job:
        """The series is not analysable. This ends the job, also while its refusal reports are not delivered yet.

        Args:
            answers: the refusal reports in the outbox, by destination; a destination that got one before it was made
                again is left out.
            report: the UIDs of the refusal report, for `earlier_report` of a later job.
            remark: more text for the timeline.

        Raises:
            LeaseLost: the job is not the owner's any more; nothing was written.
        """
        now = self._database.clock()
        with self._database.write(Wake.DELIVERIES if answers else None) as connection:
            job = _owned(connection, job_id, owner)
            due = _make_due(connection, job_id, answers, now)
            remarks = (
                f"; {', '.join(delivery.destination for delivery in due)} will get a refusal report" if due else ""
            )
            remarks += f"; {remark}" if remark else ""
            return move(
                connection, job, JobAction.REJECT, JobState.REJECTED, now, "rejected", f"{reason} [{code}]{remarks}",
                code=code, reason=reason, report=None if report is None else dict(report),
            )  # fmt: skip

    def fail(self, job_id: int, owner: str, reason: str) -> Job:
        """Fail at once, also when attempts are left.

        Raises:
            LeaseLost: the job is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job = _owned(connection, job_id, owner)
            return move(
                connection, job, JobAction.FAIL, JobState.FAILED, now, "failed", reason, code="failed", reason=reason
            )

    # By hand

    def cancel(self, job_id: int, by: str | None = None) -> Job:
        """An administrator cancels: the worker loses the lease, and nothing more is sent.

        Args:
            by: who, for the audit.

        Raises:
            UnknownRow: there is no such job.
            IllegalTransition: it has ended.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job = lock_job(connection, job_id)
            reason = f"cancelled by {by or 'an administrator'} while {job.state}"
            cancelled = move(
                connection,
                job,
                JobAction.CANCEL,
                JobState.CANCELLED,
                now,
                "cancelled",
                reason,
                code="cancelled",
                reason=reason,
            )
            withdraw_deliveries(connection, job_id, now)
            record_action(connection, now, by, "cancel", job_id, reason)
            return cancelled

    def retry(self, job_id: int, by: str | None = None) -> Job:
        """An administrator retries it; an existing result is re-sent only to destinations that lack it.

        Args:
            by: who, for the audit.

        Raises:
            UnknownRow: there is no such job.
            IllegalTransition: it has not failed, been cancelled or rejected; or a later job holds the newer state of
                the series.
        """
        now = self._database.clock()
        with self._database.write(Wake.JOBS) as connection:
            lock_series(connection, get_job(connection, job_id).series_instance_uid)  # no newer job in between
            job = lock_job(connection, job_id)
            _require_newest(connection, job)
            _require_files(connection, job)
            if job.withdrawn_at is not None:
                raise IllegalTransition(
                    f"cannot retry job {job_id}: its results were withdrawn ({job.withdrawn_reason})"
                )
            if job.state is JobState.REJECTED:
                forget_answers(connection, job)  # it is analysed again, and every destination gets the outcome
            state = JobState.DELIVERING if _reset_deliveries(connection, job_id, now) else JobState.QUEUED
            what = "its results are sent again" if state is JobState.DELIVERING else "it is analysed again"
            detail = f"by {by or 'an administrator'}, from state {job.state}: {what}"
            record_action(connection, now, by, "retry", job_id, detail)
            return move(
                connection, job, JobAction.RETRY, state, now, _RETRIED, detail,
                attempts=0, max_attempts=max(job.max_attempts, self._max_attempts), not_before=now,
                code=None, reason=None, acknowledged_at=None, purged_at=None, shared_at=None,
            )  # fmt: skip

    def acknowledge(self, job_id: int, by: str | None = None) -> Job:
        """An administrator has seen that it failed: it no longer counts as a failure, and its files may go in time.

        Args:
            by: who, for the audit.

        Raises:
            UnknownRow: there is no such job.
            IllegalTransition: it has not failed.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job = lock_job(connection, job_id)
            if job.state is not JobState.FAILED:
                raise IllegalTransition(f"cannot acknowledge job {job_id}: it is {job.state}, expected failed")
            if job.acknowledged_at is not None:
                return job
            record_action(connection, now, by, "acknowledge", job_id, job.reason or "")
            note(connection, job_id, now, "acknowledged", f"by {by or 'an administrator'}")
            acknowledged = update(jobs).where(jobs.c.id == job_id).values(acknowledged_at=now).returning(jobs)
            return job_of(connection.execute(acknowledged).one())

    def prioritise(self, job_id: int, priority: Priority, by: str | None = None, reason: str | None = None) -> Job:
        """An administrator moves a queued job in the queue; the same priority again changes nothing.

        Args:
            by, reason: who and why, for the audit.

        Raises:
            UnknownRow: there is no such job.
            IllegalTransition: it is not queued.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job = lock_job(connection, job_id)
            if job.state is not JobState.QUEUED:
                raise IllegalTransition(f"cannot prioritise job {job_id}: it is {job.state}, expected queued")
            if job.priority is priority:
                return job
            why = f": {reason}" if reason else ""
            detail = f"by {by or 'an administrator'}, from {job.priority} to {priority}{why}"
            note(connection, job_id, now, PRIORITISED, detail)
            values = {"priority": priority.value, "place": place_of(priority, job.not_before), "updated_at": now}
            moved = update(jobs).where(jobs.c.id == job_id).values(values).returning(jobs)
            prioritised = job_of(connection.execute(moved).one())
            record_action(connection, now, by, "prioritise", job_id, f"from {job.priority} to {priority}{why}")
            return prioritised

    def retry_skipped(self, study_instance_uid: str) -> builtins.list[Job]:
        """Analyse the series that were skipped for a better one of their study, which cannot be analysed."""
        query = select(jobs.c.id).where(
            jobs.c.study_instance_uid == study_instance_uid,
            or_(
                and_(jobs.c.state == JobState.REJECTED.value, jobs.c.code == SKIPPED),
                and_(jobs.c.state == JobState.CANCELLED.value, jobs.c.code == BETTER_LATER),
            ),
        )
        with self._database.read() as connection:
            ids = sorted(connection.execute(query).scalars())
        retried = []
        for job_id in ids:
            with suppress(IllegalTransition):  # a newer job of the series came
                retried.append(self.retry(job_id, by="the node: the better series of the study is refused"))
        return retried

    def name_better(self, worse: Collection[int], newer: Job, name: str) -> None:
        """Say of earlier jobs of a study that a better FLAIR of it came later; cancel those that are only queued.

        Args:
            worse: their ids.
            newer: the job of the better FLAIR; name: which one it is.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            for job_id in sorted(worse):
                name_better(connection, job_id, newer, name, now)

    def retry_resent(self) -> builtins.list[Job]:
        """Retry each failed job, the newest of its series, whose whole series was sent again after the failure.

        Sending it again is what the operator of a scanner can do about a failed job; otherwise it would change nothing,
        because the node already has every instance.
        """
        with self._database.read() as connection:
            resent = {row.series_instance_uid: row.duplicate_count for row in connection.execute(RESENT)}
            if not resent:
                return []
            uids = sorted(resent)
            batches = [uids[first : first + _BATCH] for first in range(0, len(uids), _BATCH)]
            ids = sorted(
                job_id for uids in batches for job_id in connection.execute(SENT_AGAIN, {"uids": uids}).scalars()
            )
        retried = []
        for job_id in ids:
            with suppress(IllegalTransition):  # another process was first, or a newer job came
                retried.append(self.retry(job_id, by="the sender of the series"))
        with self._database.write() as connection:
            for uid in sorted(resent):
                connection.execute(_SEEN, {"uid": uid, "seen": resent[uid]})
        return retried

    # Sharing with other machines

    def to_share(self, limit: int, but: Collection[int] = ()) -> builtins.list[Job]:
        """Jobs whose files are kept and not in the object store yet: those of the queue first, then the newest.

        Args:
            limit: at most so many.
            but: jobs that are left alone for now.
        """
        others_than = jobs.c.id.not_in(sorted(but))
        with self._database.read() as connection:
            waiting = connection.execute(_UNSHARED_IN_QUEUE.where(others_than).limit(limit)).all()
            others = connection.execute(_UNSHARED.where(others_than).limit(limit)).all()
        found = {row.id: job_of(row) for row in [*waiting, *others]}
        return builtins.list(found.values())[:limit]

    def note_shared(self, job_id: int) -> None:
        """What other machines need of a job is in the object store: they may claim it."""
        now = self._database.clock()
        with self._database.write(Wake.JOBS) as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(shared_at=now))

    # Looking

    def get(self, job_id: int) -> Job:
        """One job.

        Raises:
            UnknownRow: there is none of that id.
        """
        with self._database.read() as connection:
            return get_job(connection, job_id)

    def earlier_report(self, job: Job) -> Mapping[str, str] | None:
        """The report of the last job about an earlier state of the series that has one; None when none has.

        A report that no destination has, may have or will get does not count: no PACS could find it. For a job that was
            retried, the refusal report sent before counts when the retry gave none.
        """
        with self._database.read() as connection:
            earlier = [
                earlier_job
                for earlier_job in jobs_of_series(connection, job.series_instance_uid)
                if earlier_job.id < job.id
            ]
            found = (_report_out(connection, earlier_job) for earlier_job in reversed(earlier))
            return next((report for report in found if report), None)

    def count_rejected(
        self, study_instance_uid: str, codes: Collection[str], but_series: str = "", *, answered: bool = False
    ) -> int:
        """How many series of a study were rejected with one of these codes.

        Args:
            but_series: which is not counted.
            answered: only what a worker rejected, which sends refusal reports.
        """
        query = select(func.count(jobs.c.series_instance_uid.distinct())).where(
            jobs.c.study_instance_uid == study_instance_uid,
            jobs.c.series_instance_uid != but_series,
            jobs.c.state == JobState.REJECTED.value,
            jobs.c.code.in_(codes),
        )
        if answered:
            query = query.where(jobs.c.attempts > 0)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def analysed_of_study(self, study_instance_uid: str, but_series: str) -> builtins.list[Job]:
        """Jobs of a study's other series that give a result or have one, the newest of each series."""
        query = select(jobs).where(
            jobs.c.study_instance_uid == study_instance_uid, jobs.c.series_instance_uid != but_series
        )
        with self._database.read() as connection:
            found = {job.series_instance_uid: job for job in map(job_of, connection.execute(query.order_by(jobs.c.id)))}
        return [
            job for job in found.values() if job.state in _WITH_RESULT and job.code is None and job.withdrawn_at is None
        ]

    def of_series(self, series_instance_uid: str) -> builtins.list[Job]:
        """Jobs of a series, oldest first."""
        with self._database.read() as connection:
            return jobs_of_series(connection, series_instance_uid)

    def events(self, job_id: int) -> builtins.list[JobEvent]:
        """The timeline, from the first instance on.

        Raises:
            UnknownRow: there is none of that id.
        """
        with self._database.read() as connection:
            return timeline(connection, get_job(connection, job_id))

    def list(self, states: Collection[JobState] | None = None, limit: int | None = None) -> builtins.list[Job]:
        """Jobs, newest first; all states and all jobs by default."""
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(list_query(states, limit))]


def list_query(states: Collection[JobState] | None, limit: int | None) -> Any:
    """See `JobTable.list`. Each state goes by its own index, and the newest of them are merged."""
    newest = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if states is None:
        return newest
    parts = [newest.where(*_in_state(state)).subquery() for state in sorted({JobState(name) for name in states})]
    if not parts:
        return newest.where(false())
    merged = union_all(*(select(part) for part in parts)).subquery()
    return select(merged).order_by(merged.c.id.desc()).limit(limit)


def _in_state(state: JobState) -> tuple[ColumnElement[bool], ...]:
    """Conditions as the partial indexes name them: SQLite compares text."""
    return (is_in(state),) if state is JobState.DONE else (is_in(state), jobs.c.state != literal_column("'done'"))


# Series of which instances came again since `retry_resent` has looked.
RESENT: Final = select(series.c.series_instance_uid, series.c.duplicate_count).where(
    series.c.duplicate_count > series.c.duplicates_seen
)


_UNSHARED: Final = select(jobs).where(jobs.c.shared_at.is_(None), jobs.c.purged_at.is_(None)).order_by(jobs.c.id.desc())
_UNSHARED_IN_QUEUE: Final = (
    select(jobs)
    .where(is_in(JobState.QUEUED), jobs.c.shared_at.is_(None), jobs.c.purged_at.is_(None))
    .order_by(jobs.c.place, jobs.c.id)
)


def _sent_again() -> Any:
    """Failed jobs, the newest of their series, all of whose instances were sent again by associations that began after
    the failure."""
    sent_again = (
        select(func.sum(series_associations.c.duplicate_count))
        .join(associations, associations.c.id == series_associations.c.association_id)
        .where(
            series_associations.c.series_instance_uid == jobs.c.series_instance_uid,
            associations.c.opened_at > jobs.c.ended_at,
        )
        .correlate(jobs)
        .scalar_subquery()
    )
    analysed = (
        select(func.count())
        .select_from(instances)
        .where(
            instances.c.series_instance_uid == jobs.c.series_instance_uid,
            instances.c.ordinal <= jobs.c.instance_count,
            instances.c.is_conflict.is_(False),
        )
        .correlate(jobs)
        .scalar_subquery()
    )
    return (
        select(jobs.c.id)
        .join(series, series.c.series_instance_uid == jobs.c.series_instance_uid)
        .where(
            jobs.c.series_instance_uid.in_(bindparam("uids", expanding=True)),
            is_in(JobState.FAILED),
            series.c.last_received_at > jobs.c.ended_at,  # cheap, and false for almost all
            sent_again >= analysed,
            ~_later_job().exists(),
        )
    )


def _later_job() -> Any:
    others = jobs.alias()
    return select(others.c.id).where(
        others.c.series_instance_uid == jobs.c.series_instance_uid, others.c.id > jobs.c.id
    )


SENT_AGAIN: Final = _sent_again()

# What came again is dealt with, but for a series whose newest job has failed: the rest may still come again. Only what
# comes after a failure counts, so what came before one need not be kept in mind.
_SEEN: Final = (
    update(series)
    .where(
        series.c.series_instance_uid == bindparam("uid"),
        series.c.duplicates_seen < bindparam("seen"),
        ~select(jobs.c.id)
        .where(
            jobs.c.series_instance_uid == series.c.series_instance_uid, is_in(JobState.FAILED), ~_later_job().exists()
        )
        .exists(),
    )
    .values(duplicates_seen=bindparam("seen"))
)


def _due(all_expired: Any, all_queued: Any) -> Any:
    """Both on PostgreSQL, in one round trip, locked; the queue is only asked when no lease ran out."""
    # SKIP LOCKED: what another worker is just taking is not waited for.
    expired = all_expired.with_for_update(skip_locked=True, key_share=True).cte("expired")
    waiting = all_queued.where(~select(expired.c.id).exists())
    queued = waiting.with_for_update(skip_locked=True, key_share=True, of=jobs).cte("queued")
    return union_all(select(expired), select(queued))


def _in_queue(all_queued: Any) -> Any:
    return all_queued.with_for_update(skip_locked=True, key_share=True, of=jobs)


def _queries(only_shared: bool) -> tuple[Any, Any]:
    return SHARED if only_shared else (EXPIRED, QUEUED)


_DUE: Final = {only: _due(*_queries(only)) for only in (False, True)}
_DUE_IN_QUEUE: Final = {only: _in_queue(_queries(only)[1]) for only in (False, True)}


_PROLONG: Final = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), jobs.c.lease_owner == bindparam("owner"), is_in(JobState.RUNNING))
    .values(lease_expires=bindparam("expires", type_=jobs.c.lease_expires.type))
)


def _next_due(connection: Connection, now: datetime, take_over: bool, only_shared: bool) -> Job | None:
    if connection.dialect.name == "sqlite":
        queries = _queries(only_shared)[0 if take_over else 1 :]
    else:
        queries = ((_DUE if take_over else _DUE_IN_QUEUE)[only_shared],)
    rows = (connection.execute(query, {"now": now}).first() for query in queries)
    return next((job_of(row) for row in rows if row is not None), None)


def _silent_attempts(connection: Connection, job: Job) -> int:
    """How many attempts, since somebody last had the job tried again, ended with their worker and not with an error."""
    retried = (
        select(func.coalesce(func.max(job_events.c.id), 0))
        .where(job_events.c.job_id == job.id, job_events.c.what == _RETRIED)
        .scalar_subquery()
    )
    taken_over = (job_events.c.job_id == job.id) & (job_events.c.what == _TAKEN_OVER) & (job_events.c.id > retried)
    return int(connection.execute(select(func.count()).select_from(job_events).where(taken_over)).scalar_one())


def _is_spent(job: Job, silent: int) -> bool:
    """Whether a job is not tried again. A machine that crashes is not the job's fault, but a job that kills its worker
    has to end: a silent attempt counts half."""
    failed = max(job.attempts - silent, 0)
    return 2 * failed + silent >= 2 * job.max_attempts


def _fail_silent(connection: Connection, job: Job, silent: int, now: datetime) -> None:
    reason = f"{_attempts(job, silent)} used: the worker {job.lease_owner} went silent during the last one"
    move(connection, job, JobAction.CLAIM, JobState.FAILED, now, "failed", reason, code=_SPENT, reason=reason)


def _report_out(connection: Connection, job: Job) -> Mapping[str, str] | None:
    return (job.report if _is_out(connection, job) else None) or job.answered


def _is_out(connection: Connection, job: Job) -> bool:
    """Whether a destination has the job's report, may have it or will get it.

    Where there was no destination, the outbox has it.
    """
    rows = connection.execute(select(deliveries).where(results_of(job.id))).all()
    if not rows:
        return job.state is JobState.DONE
    found = map(delivery_of, rows)
    return any(delivery.state is DeliveryState.PENDING or delivery.report_may_be_out for delivery in found)


def _attempts(job: Job, silent: int) -> str:
    if silent == 0:
        return "the only attempt is" if job.max_attempts == 1 else f"all {job.max_attempts} attempts are"
    return (
        f"all {job.max_attempts} attempts (of {job.attempts} made, {silent} ended with their worker and count half) are"
    )


def _attempt_words(number: int, most: int) -> str:
    """Which attempt it is; beyond the most, since those that ended with their worker count half."""
    return f"attempt {number} of {most}" if number <= most else f"attempt {number}, some of which count half"


def _owned(connection: Connection, job_id: int, owner: str) -> Job:
    job = lock_job(connection, job_id)
    if job.state is not JobState.RUNNING or job.lease_owner != owner:
        holder = f"running under {job.lease_owner}" if job.state is JobState.RUNNING else str(job.state)
        raise LeaseLost(f"job {job_id} is no longer {owner}'s: it is {holder}; drop the result")
    return job


def _made_by(connection: Connection, job: Job, measurements: Mapping[str, Any]) -> list[str]:
    """Which model made the result, and whether the earlier result had another one."""
    model = _model_in(measurements)
    if model is None:
        return []
    if job.predecessor_id is None and job.measurements is None:
        return [f"by model {model}"]  # the first of its series: nothing to look for
    earlier = [
        earlier_job for earlier_job in jobs_of_series(connection, job.series_instance_uid) if earlier_job.id <= job.id
    ]
    models = (_model_in(earlier_job.measurements) for earlier_job in reversed(earlier))
    before = next((model for model in models if model), None)
    if before is None or before == model:
        return [f"by model {model}"]
    return [f"by model {model}, the earlier result was by {before}"]


def _results_written(made_by: Sequence[str], measurements: Mapping[str, Any], due: Sequence[NewDelivery]) -> str:
    names = ", ".join(delivery.destination for delivery in due)
    detail = f"goes to {names}" if names else "no destination is configured, so they stay in the outbox"
    return "; ".join([*made_by, *_compared(measurements), detail])


def _compared(measurements: Mapping[str, Any]) -> list[str]:
    """Whether the result gives a change since an earlier scan, and how long ago that was."""
    follow_up = measurements.get("follow_up")
    if not isinstance(follow_up, Mapping) or not {"change_ml", "days"} <= set(follow_up):
        return []
    return [f"compared with a scan {follow_up['days']} days earlier ({follow_up['change_ml']:+.1f} mL)"]


def _model_in(measurements: Mapping[str, Any] | None) -> str | None:
    """The model that measurements.json names."""
    model = (measurements or {}).get("model")
    if not isinstance(model, Mapping) or not {"name", "version", "digest"} <= set(model):
        return None
    return f"{model['name']} {model['version']} ({model['digest'][:12]})"


def _make_due(
    connection: Connection, job_id: int, new_deliveries: Sequence[NewDelivery], now: datetime
) -> builtins.list[NewDelivery]:
    """Insert a row for each destination that has none; returns those. The others got it before it was lost."""
    settled = _destinations_of(connection, job_id)
    due = [delivery for delivery in new_deliveries if delivery.destination not in settled]
    if due:
        connection.execute(insert(deliveries), [delivery_values(job_id, delivery, now) for delivery in due])
    return due


_DESTINATIONS: Final = select(deliveries.c.destination).where(
    deliveries.c.job_id == bindparam("job"), deliveries.c.kind == DeliveryKind.RESULTS.value
)


def _destinations_of(connection: Connection, job_id: int) -> set[str]:
    return set(connection.execute(_DESTINATIONS, {"job": job_id}).scalars())


def _reset_deliveries(connection: Connection, job_id: int, now: datetime) -> int:
    """Make deliveries due again that failed or were cancelled; returns how many, 0 without a result."""
    forget_questions(connection, results_of(job_id))
    # A cancellation ended the wait for these proofs. They are not counted: they are asked for, not sent again.
    connection.execute(
        update(deliveries)
        .where(
            results_of(job_id),
            deliveries.c.state == DeliveryState.SENT.value,
            deliveries.c.settled_at.is_not(None),
            deliveries.c.proof.is_not(None),
        )
        .values(settled_at=None, not_before=now, created_at=now)
    )
    return connection.execute(
        update(deliveries)
        .where(results_of(job_id), deliveries.c.state.in_(states_before(DeliveryAction.RETRY)))
        .values(
            # Where it was sent whole, the destination may have it: a withdrawal must reach it.
            report_out=or_(
                deliveries.c.report_out,
                deliveries.c.state.in_([DeliveryState.REFUSED.value, DeliveryState.UNANSWERED.value]),
            ),
            state=DeliveryState.PENDING.value,
            attempts=0,
            refusals=0,
            not_before=now,
            created_at=now,
            settled_at=None,
            reason=None,
            proof_failures=0,
            resend=None,
        )
    ).rowcount


def _require_newest(connection: Connection, job: Job) -> None:
    newest = jobs_of_series(connection, job.series_instance_uid)[-1]
    if newest.id != job.id:
        raise IllegalTransition(
            f"job {job.id} is about an earlier state of its series; expected the newest: retry job {newest.id} "
            f"({newest.state}) instead"
        )


def _require_files(connection: Connection, job: Job) -> None:
    """Files that the retention rules removed are not there to be analysed, nor is the result set to be sent."""
    if purged := purged_count(connection, job.series_instance_uid, job.instance_count):
        raise IllegalTransition(
            f"cannot retry job {job.id}: the retention rules removed {purged} of its {job.instance_count} images; "
            "send the whole series again, then retry it"
        )


def _queued_words(job: Job, waited_seconds: float | None) -> str:
    words = [f"{job.instance_count} instances"]
    if waited_seconds is not None:
        words.append(f"complete {waited_seconds:.1f} s after the last one was received")
    if job.predecessor_id is not None:
        words.append(f"successor of job {job.predecessor_id}")
    if job.priority is not Priority.MEDIUM:
        words.append(f"{job.priority} priority")
    return ", ".join(words)
