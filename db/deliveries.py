"""The delivery table: one row per result set and destination, so that none waits for another."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, literal_column, or_, select, update

from db.audit import SENT, record_action
from db.delivery_transitions import DeliveryAction
from db.engine.database import Database
from db.engine.values import storable
from db.job_events import note
from db.records import Delivery, DeliveryKind, DeliveryState, JobState, Proof, delivery_of
from db.schema import deliveries, jobs
from db.series import jobs_of_series
from db.settling import advance, end_job, end_with_reason, owned, remove, results_of
from db.supersede import forget_answers
from db.time_to_result import seconds_to_result
from db.transitions import JobAction, move

# What a destination has is not sent again when the files are lost.
_ARE_THERE: Final = tuple(
    state.value for state in (DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.UNANSWERED)
)
_BATCH: Final = 500  # numbers in one query
# A literal: no index of one state can serve a parameter that may hold any.
_PENDING: Final = deliveries.c.state == literal_column("'pending'")


class DeliveryTable:
    """Deliveries and their leases. Safe to use from several threads, processes and machines.

    Each method is one transaction. When a sender dies, another one takes the row after the lease expires. The same
    objects are then sent twice, which is harmless because their UIDs are the same.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, owner: str, lease_seconds: float, skip: Collection[str] = (), *, take_over: bool = True
    ) -> Delivery | None:
        """Claim the delivery that has been due longest; None when none is due.

        Args:
            owner: name of the lease's holder, unique to this thread.
            skip: destinations to skip for now.
            take_over: whether a row whose lease ran out may be taken, see `JobTable.claim`.
        """
        now = self._database.clock()
        if self._database.is_sqlite and not self._something_is_due(now, skip, take_over):
            return None  # read without the write lock, so that idle senders block no other process
        with self._database.write() as connection:
            query = claim_query(now, skip, take_over).with_for_update(skip_locked=True, key_share=True)
            row = connection.execute(query).first()
            if row is None:
                return None
            claimed = connection.execute(
                update(deliveries)
                .where(deliveries.c.id == row.id)
                .values(
                    attempts=row.attempts + 1,
                    lease_owner=owner,
                    lease_expires=now + timedelta(seconds=lease_seconds),
                    # How far a silent sender got is unknown.
                    report_out=row.report_out or row.lease_owner is not None,
                )
                .returning(deliveries)
            )
            return delivery_of(claimed.one())

    def _something_is_due(self, now: datetime, skip: Collection[str], take_over: bool) -> bool:
        with self._database.read() as connection:
            return connection.execute(claim_query(now, skip, take_over)).first() is not None

    def newer_waits(self, delivery: Delivery) -> int | None:
        """The newest job of the same series whose results wait behind this row for the same destination; else None."""
        own, later = jobs.alias(), jobs.alias()
        query = (
            select(func.max(later.c.id))
            .select_from(own)
            .join(later, later.c.series_instance_uid == own.c.series_instance_uid)
            .join(deliveries, deliveries.c.job_id == later.c.id)
            .where(
                own.c.id == delivery.job_id,
                later.c.id > own.c.id,
                deliveries.c.destination == delivery.destination,
                deliveries.c.state == DeliveryState.PENDING.value,
            )
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def heartbeat(self, delivery_id: int, owner: str, lease_seconds: float) -> bool:
        """Prolong a lease; False when it is lost."""
        now = self._database.clock()
        with self._database.write() as connection:
            prolonged = connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, deliveries.c.lease_owner == owner)
                .values(lease_expires=now + timedelta(seconds=lease_seconds))
            )
            return prolonged.rowcount == 1

    def sent(self, delivery_id: int, owner: str, proof: Proof | None = None) -> None:
        """The destination has stored it. Without a proof to await, that ends it; the last delivery ends the job.

        Args:
            proof: what the destination promises to prove, for `db.proofs`.

        Raises:
            UnknownRow: there is no such delivery.
            LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.PENDING)
            promised = None if proof is None else proof.value
            ended = now if proof is None else None
            advance(
                connection, delivery, DeliveryAction.STORED, now,
                settled_at=ended, reason=None, proof=promised, not_before=now, report_out=delivery.report_out,
            )  # fmt: skip
            took = (now - delivery.created_at).total_seconds()
            detail = f"to {delivery.destination}, attempt {delivery.attempts}, {took:.1f} s after it was due"
            if delivery.kind is DeliveryKind.WITHDRAWAL:
                detail += ": the note that the results are withdrawn"
            note(connection, job.id, now, "sent", detail)
            end_job(connection, job, now)
            studies = [] if job.study_instance_uid is None else [job.study_instance_uid]
            about = {"studies": studies, "destination": delivery.destination, "kind": delivery.kind.value}
            words = f"{len(delivery.files)} objects to {delivery.destination}"
            record_action(connection, now, owner, SENT, job.id, words, about)

    def postpone(
        self,
        delivery_id: int,
        owner: str,
        reason: str,
        delay_seconds: float,
        *,
        refused: bool = False,
        report_out: bool = False,
    ) -> None:
        """The delivery was not sent: try again later.

        Args:
            refused: the destination refused it, which counts as one more refusal in sequence; any other fault resets
                the count, because it says nothing about the destination's answer.
            report_out: the destination has the report, or may have it.

        Raises:
            UnknownRow: there is no such delivery.
            LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.PENDING)
            reason = storable(reason)
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id)
                .values(
                    refusals=delivery.refusals + 1 if refused else 0,
                    report_out=delivery.report_out or report_out,
                    reason=reason,
                    not_before=now + timedelta(seconds=delay_seconds),
                    lease_owner=None,
                    lease_expires=None,
                )
            )
            # A PACS that is down for days would fill the timeline: a reason is recorded when it changes.
            if reason != delivery.reason:
                detail = f"to {delivery.destination}, attempt {delivery.attempts}: {reason}; will retry"
                note(connection, job.id, now, "not sent yet", detail)

    def give_up(self, delivery_id: int, owner: str, reason: str, *, report_out: bool = False) -> None:
        """Give the delivery up. The job fails after its other deliveries have ended; they continue.

        Args:
            report_out: the destination has the report, or may have it.

        Raises:
            UnknownRow: there is no such delivery.
            LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.PENDING)
            known = replace(delivery, report_out=delivery.report_out or report_out)
            end_with_reason(connection, job, known, DeliveryAction.GIVE_UP, reason, now)

    def files_lost(self, delivery_id: int, owner: str, reason: str) -> bool:
        """The result set is no longer in the outbox: queue the job again, for the destinations that lack it.

        Only while the job has attempts left: otherwise the delivery is given up, so that an outbox that loses
            everything does not keep a worker busy forever. It is also given up when the series has a newer job: an
            older result must not follow a newer one.

        Returns:
            whether the job is queued again.

        Raises:
            UnknownRow: there is no such delivery.
            LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.PENDING)
            if delivery.kind is DeliveryKind.WITHDRAWAL:
                again = f"{reason}; `wmh-node results withdraw {job.id}` writes the note again"
                end_with_reason(connection, job, delivery, DeliveryAction.GIVE_UP, again, now)
                return False
            if job.attempts >= job.max_attempts:
                spent = f"{reason}, and all attempts to analyse are used"
                end_with_reason(connection, job, delivery, DeliveryAction.GIVE_UP, spent, now)
                return False
            newest = jobs_of_series(connection, job.series_instance_uid)[-1]
            if newest.id != job.id:
                late = f"{reason}, and job {newest.id} about more instances exists"
                end_with_reason(connection, job, delivery, DeliveryAction.GIVE_UP, late, now)
                return False
            if job.state is JobState.REJECTED:
                this_one = update(deliveries).where(deliveries.c.id == delivery_id)
                connection.execute(this_one.values(lease_owner=None, lease_expires=None))  # it is not being sent
                forget_answers(connection, job)  # it is analysed again, and every destination gets the outcome
            else:
                remove(connection, and_(results_of(job.id), deliveries.c.state.not_in(_ARE_THERE)))
            detail = f"{reason}; it is analysed again"
            move(connection, job, JobAction.MAKE_AGAIN, JobState.QUEUED, now, "results lost", detail, not_before=now)
            return True

    def seconds_to_result(self, job_id: int) -> float | None:
        """From the last image of the job's series to the job's end; None while the job is not done."""
        return seconds_to_result(self._database, job_id)

    def states_of(self, job_ids: Collection[int]) -> dict[int, builtins.list[dict[str, str]]]:
        """For a list of jobs: what each of their deliveries brings, where, and its state."""
        columns = deliveries.c.job_id, deliveries.c.destination, deliveries.c.kind, deliveries.c.state
        ids = sorted(job_ids)
        found: dict[int, builtins.list[dict[str, str]]] = {}
        with self._database.read() as connection:
            for first in range(0, len(ids), _BATCH):
                of_these = deliveries.c.job_id.in_(ids[first : first + _BATCH])
                for row in connection.execute(select(*columns).where(of_these).order_by(deliveries.c.id)):
                    one = {"destination": row.destination, "kind": row.kind, "delivery_state": row.state}
                    found.setdefault(row.job_id, []).append(one)
        return found

    def newest_files(self, destination: str) -> tuple[str, ...]:
        """The files of the newest result set that goes to a destination, relative to STORAGE; none before the first."""
        query = (
            select(deliveries.c.files)
            .where(deliveries.c.destination == destination, deliveries.c.kind == DeliveryKind.RESULTS.value)
            .order_by(deliveries.c.id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return tuple(connection.execute(query).scalar_one_or_none() or ())

    def list(self, job_id: int) -> builtins.list[Delivery]:
        """The deliveries of a job, in the order of its destinations."""
        query = select(deliveries).where(deliveries.c.job_id == job_id).order_by(deliveries.c.id)
        with self._database.read() as connection:
            return [delivery_of(row) for row in connection.execute(query)]


def claim_query(now: datetime, skip: Collection[str], take_over: bool = True) -> Any:
    """The delivery that has been due longest and is not being sent.

    It waits for one of an earlier job of its series to the same destination: a PACS that was down gets the older result
    first, so that the newest there is the one of the whole series.
    """
    own, before, earlier = jobs.alias(), jobs.alias(), deliveries.alias()
    ahead = (
        select(earlier.c.id)
        .join(before, before.c.id == earlier.c.job_id)
        .join(own, own.c.series_instance_uid == before.c.series_instance_uid)
        .where(
            own.c.id == deliveries.c.job_id,
            before.c.id < own.c.id,
            earlier.c.destination == deliveries.c.destination,
            earlier.c.state == DeliveryState.PENDING.value,
        )
        .correlate(deliveries)
    )
    not_leased = deliveries.c.lease_expires.is_(None)
    free = or_(not_leased, deliveries.c.lease_expires <= now) if take_over else not_leased
    query = (
        select(deliveries)
        .where(
            _PENDING,
            deliveries.c.not_before <= now,
            free,
            ~ahead.exists(),
        )
        .order_by(deliveries.c.not_before, deliveries.c.id)
        .limit(1)
    )
    return query.where(deliveries.c.destination.not_in(list(skip))) if skip else query
