"""Results that are wrong: who said so and why, and the notes that bring it to every destination that has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, and_, insert, or_, select, update

from db.audit import record_action
from db.delivery_transitions import DeliveryAction, states_before
from db.engine.database import Database
from db.engine.values import storable
from db.errors import IllegalTransition
from db.job_events import note
from db.records import Delivery, DeliveryKind, DeliveryState, Job, JobState, NewDelivery, delivery_of, job_of
from db.schema import deliveries, jobs, scans
from db.settling import delivery_values, forget_questions, results_of
from db.supersede import PATIENT_CORRECTED, withdraw_deliveries
from db.transitions import JobAction, get_job, lock_job, move

WITHDRAWN: Final = "withdrawn"
_STORED: Final = [state.value for state in (DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.UNANSWERED)]
RESULT_STATES: Final = (JobState.DELIVERING, JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What came of a withdrawal.

    Attributes:
        job: as it is now.
        destinations: those that get, or have got, the note.
        compared_with_it: jobs whose results give a change since the wrong one.
    """

    job: Job
    destinations: tuple[str, ...]
    compared_with_it: tuple[int, ...]


class WithdrawalTable:
    """Withdrawals. Safe to use from several processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        """The database's time."""
        return self._database.clock()

    def of_model(self, digest: str) -> list[Job]:
        """Jobs with results of models whose digest begins so, that are not withdrawn; oldest first."""
        of_model = jobs.c.measurements["model"]["digest"].as_string()
        query = (
            select(jobs)
            .where(
                jobs.c.measurements.is_not(None),
                of_model.like(f"{digest}%"),
                jobs.c.withdrawn_at.is_(None),
                jobs.c.state.in_([state.value for state in RESULT_STATES]),
            )
            .order_by(jobs.c.id)
        )
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def job(self, job_id: int) -> Job:
        """A job with results.

        Raises:
            UnknownRow: there is none of that number.
            IllegalTransition: it has no results that could be withdrawn.
        """
        with self._database.read() as connection:
            return _with_results(get_job(connection, job_id))

    def holders(self, job_id: int) -> list[Delivery]:
        """Deliveries of a job's results whose destination has something of them, or may have."""
        query = select(deliveries).where(results_of(job_id)).order_by(deliveries.c.id)
        with self._database.read() as connection:
            found = map(delivery_of, connection.execute(query))
            return [delivery for delivery in found if may_hold(delivery)]

    def is_replaced(self, held: Delivery) -> bool:
        """Whether the destination has the results of a newer job of the same series and patient."""
        query = _newer(held.job_id, [held.destination]).where(deliveries.c.state.in_(_STORED))
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def withdraw(
        self,
        job_id: int,
        by: str,
        reason: str,
        notes: Sequence[NewDelivery],
        replaced: Collection[str] = (),
        one_report: Collection[str] = (),
    ) -> Withdrawal:
        """Withdraw a job's results: nothing more of them is sent, a later scan is not compared with them, and each
        destination that has them gets a note. A second time: notes that failed are sent again, and others added.

        Args:
            by: who, for the audit.
            reason: in words of a person.
            notes: that lie in the outbox, by destination.
            replaced: destinations that need none, since they have a newer result in place of this one.
            one_report: of the notes' destinations those that hold one report of a series: the note would take back a
                newer one.

        Raises:
            UnknownRow: there is no such job.
            IllegalTransition: it has no results that could be withdrawn, or others began to go out meanwhile.
        """
        now = self._database.clock()
        reason = storable(reason)
        with self._database.write() as connection:
            job = _with_results(lock_job(connection, job_id))
            if job.withdrawn_at is None:
                withdraw_deliveries(connection, job.id, now)
                values = {"withdrawn_at": now, "withdrawn_by": storable(by)[:255], "withdrawn_reason": reason}
                if job.state is JobState.DELIVERING:
                    words = f"its results are withdrawn: {reason}"
                    changes = {"code": WITHDRAWN, "reason": words, **values}
                    move(connection, job, JobAction.CANCEL, JobState.CANCELLED, now, "cancelled", words, **changes)
                else:
                    connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
            known = connection.execute(
                select(deliveries.c.destination).where(
                    deliveries.c.job_id == job.id, deliveries.c.kind == DeliveryKind.WITHDRAWAL.value
                )
            ).scalars()
            there = set(known)
            rows = map(delivery_of, connection.execute(select(deliveries).where(results_of(job.id))).all())
            named = there | {note.destination for note in notes} | set(replaced)
            if late := sorted(row.destination for row in rows if may_hold(row) and row.destination not in named):
                raise IllegalTransition(
                    f"nothing was withdrawn: results of job {job.id} began to go to {', '.join(late)} just now; "
                    "run the command again"
                )
            begun = or_(deliveries.c.state.in_(_STORED), deliveries.c.lease_owner.is_not(None))
            newer = {
                str(name) for name in connection.execute(_newer(job.id, sorted(one_report)).where(begun)).scalars()
            }
            if newer:
                raise IllegalTransition(
                    f"nothing was withdrawn: a newer report of the series began to go to {', '.join(sorted(newer))} "
                    "just now; run the command again"
                )
            fresh = [note for note in notes if note.destination not in there]
            if fresh:
                connection.execute(insert(deliveries), [delivery_values(job.id, note, now) for note in fresh])
            failed = and_(
                deliveries.c.job_id == job.id,
                deliveries.c.kind == DeliveryKind.WITHDRAWAL.value,
                deliveries.c.state.in_(states_before(DeliveryAction.RETRY)),
                deliveries.c.destination.not_in(sorted(replaced)),
            )
            forget_questions(connection, failed)
            connection.execute(
                update(deliveries)
                .where(failed)
                .values(
                    state=DeliveryState.PENDING.value, attempts=0, refusals=0, not_before=now, created_at=now,
                    settled_at=None, reason=None, proof_failures=0, resend=None,
                )
            )  # fmt: skip
            names = tuple(sorted((there - set(replaced)) | {note.destination for note in fresh}))
            goes = f"a note goes to {', '.join(names)}" if names else "no destination has them"
            detail = f"by {by}: {reason}; {goes}"
            note(connection, job.id, now, WITHDRAWN, detail)
            record_action(connection, now, by, "withdraw results", job.id, detail)
            compared = connection.execute(
                select(scans.c.job_id).where(scans.c.compared_with_id == job.id).order_by(scans.c.job_id)
            ).scalars()
            return Withdrawal(get_job(connection, job.id), names, tuple(compared))


def _newer(job_id: int, destinations: Sequence[str]) -> Select[tuple[str]]:
    """Destinations that are sent the results of a newer job of the same series and patient."""
    own, later = jobs.alias(), jobs.alias()
    return (
        select(deliveries.c.destination)
        .select_from(own)
        .join(later, later.c.series_instance_uid == own.c.series_instance_uid)
        .join(deliveries, deliveries.c.job_id == later.c.id)
        .where(
            own.c.id == job_id,
            own.c.code.is_distinct_from(PATIENT_CORRECTED),
            later.c.id > own.c.id,
            deliveries.c.destination.in_(destinations),
            deliveries.c.kind == DeliveryKind.RESULTS.value,
        )
    )


def may_hold(delivery: Delivery) -> bool:
    """Whether the destination has something of the set, or may have: it stored all, or an attempt was made."""
    return delivery.report_may_be_out or delivery.attempts > 0


def _with_results(job: Job) -> Job:
    if job.measurements is None or job.state not in RESULT_STATES:
        raise IllegalTransition(
            f"cannot withdraw the results of job {job.id}: it is {job.state} and has none; expected a job that is "
            f"{', '.join(RESULT_STATES)} with results"
        )
    return job
