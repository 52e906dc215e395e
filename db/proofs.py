"""Proof of delivery: what a destination that has stored a set says about holding it.

A set that is stored and not proven is `sent` without `settled_at`. For storage commitment (PS3.4 J) a transaction's row
is committed before the N-ACTION leaves, so that a report is never about something unknown to us, whatever crashed
between. The report may come at any time, in any order, more than once, to any process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, insert, literal_column, or_, select, update

from db.delivery_transitions import DeliveryAction
from db.engine.database import Database
from db.engine.values import storable
from db.job_events import note
from db.records import (
    CommitmentObject,
    CommitmentState,
    Delivery,
    DeliveryState,
    Job,
    Proof,
    ReportOutcome,
    delivery_of,
)
from db.schema import commitments, deliveries
from db.settling import advance, end_job, end_with_reason, locked, owned
from db.time_to_result import seconds_to_proof, seconds_to_result
from db.transitions import lock_job

# As the index names it.
_UNPROVEN: Final = (deliveries.c.state == literal_column("'sent'")) & deliveries.c.settled_at.is_(None)
# Seconds until objects that the destination lacks are sent again, by how often it has said so; after that it is
# believed.
RESEND_AFTER: Final = (0.0, 60.0, 600.0)


class ProofTable:
    """Deliveries whose proof is awaited. Safe to use from several threads, processes and machines.

    Each method is one transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, owner: str, lease_seconds: float, skip: Collection[str] = (), *, take_over: bool = True
    ) -> Delivery | None:
        """Claim the stored delivery whose next question has been due longest; arguments as `DeliveryTable.claim`."""
        now = self._database.clock()
        query = unproven_query(now, skip, take_over)
        with self._database.read() as connection:
            if connection.execute(query).first() is None:
                return None
        with self._database.write() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True, key_share=True)).first()
            if row is None:
                return None
            claimed = connection.execute(
                update(deliveries)
                .where(deliveries.c.id == row.id)
                .values(lease_owner=owner, lease_expires=now + timedelta(seconds=lease_seconds))
                .returning(deliveries)
            )
            return delivery_of(claimed.one())

    # Storage commitment

    def begin(self, delivery_id: int, owner: str, transaction_uid: str, objects: Sequence[CommitmentObject]) -> None:
        """Write down a transaction, before it is asked for.

        Raises:
            UnknownRow, LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            owned(connection, delivery_id, owner, DeliveryState.SENT)
            connection.execute(
                insert(commitments).values(
                    transaction_uid=transaction_uid,
                    delivery_id=delivery_id,
                    objects=[asdict(obj) for obj in objects],
                    state=CommitmentState.MADE.value,
                    made_at=now,
                )
            )

    def asked(self, delivery_id: int, owner: str, transaction_uid: str, wait_seconds: float) -> bool:
        """The destination has taken the request: its report is awaited for so long.

        Returns:
            False when the report was faster, or the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            # The delivery first, as `report` does: two in opposite order would wait for each other.
            waits = connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id, deliveries.c.lease_owner == owner, _UNPROVEN)
                .values(
                    not_before=now + timedelta(seconds=wait_seconds),
                    reason=None,
                    lease_owner=None,
                    lease_expires=None,
                )
                .returning(deliveries)
            ).first()
            taken = connection.execute(
                update(commitments)
                .where(
                    commitments.c.transaction_uid == transaction_uid,
                    commitments.c.state == CommitmentState.MADE.value,
                )
                .values(state=CommitmentState.ASKED.value)
            ).rowcount
            if not taken or waits is None:
                return False
            detail = f"{waits.destination} was asked for storage commitment; its report is awaited"
            note(connection, waits.job_id, now, "commitment asked", detail)
            return True

    def questions(self, delivery_id: int) -> int:
        """How often the destination took a request of this delivery and has not reported about it."""
        query = select(func.count()).where(
            commitments.c.delivery_id == delivery_id, commitments.c.state == CommitmentState.ASKED.value
        )
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def report(self, transaction_uid: str, committed: Collection[str], failed: Mapping[str, str]) -> ReportOutcome:
        """Take the report about a transaction, once; the same again changes nothing.

        An object that the report does not name counts as not held.

        Args:
            transaction_uid: whose row `begin` wrote.
            committed: SOP Instance UIDs that the destination answers for.
            failed: why not, by SOP Instance UID.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            found = connection.execute(
                select(commitments.c.delivery_id, deliveries.c.job_id)
                .join(deliveries, deliveries.c.id == commitments.c.delivery_id)
                .where(commitments.c.transaction_uid == transaction_uid)
            ).first()
            if found is None:
                return ReportOutcome.UNKNOWN
            job = lock_job(connection, found.job_id)
            delivery = locked(connection, found.delivery_id)
            row = connection.execute(
                select(commitments).where(commitments.c.transaction_uid == transaction_uid).with_for_update()
            ).one()
            if row.state == CommitmentState.ANSWERED.value:
                return ReportOutcome.REPEATED
            objects = [CommitmentObject(**obj) for obj in row.objects]
            lacking = {obj: failed.get(obj.sop_instance_uid, "the report does not name it") for obj in objects
                       if obj.sop_instance_uid not in committed}  # fmt: skip
            connection.execute(
                update(commitments)
                .where(commitments.c.transaction_uid == transaction_uid)
                .values(
                    state=CommitmentState.ANSWERED.value,
                    ended_at=now,
                    failures={obj.sop_instance_uid: storable(why) for obj, why in lacking.items()} or None,
                )
            )
            _take(connection, job, delivery, {obj.file for obj in objects}, lacking, now)
            return ReportOutcome.TAKEN

    def seconds_to_proof(self, transaction_uid: str) -> float | None:
        """From the last image to the end of the job that this report has ended; None when it ended none."""
        return seconds_to_proof(self._database, transaction_uid)

    def seconds_to_result(self, job_id: int) -> float | None:
        """From the last image to the end of the job; None while it is not done."""
        return seconds_to_result(self._database, job_id)

    # Any proof

    def proven(self, delivery_id: int, owner: str, how: str) -> None:
        """The destination lists every object.

        Raises:
            UnknownRow, LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.SENT)
            _prove(connection, job, delivery, how, now)

    def lacking(self, delivery_id: int, owner: str, files: Mapping[str, str]) -> None:
        """The destination does not list these files: they are sent again, or it is believed.

        Args:
            files: why, by file.

        Raises:
            UnknownRow, LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.SENT)
            _lack(connection, job, delivery, files, now)

    def postpone(self, delivery_id: int, owner: str, reason: str, delay_seconds: float) -> None:
        """The question could not be asked, or not be answered: ask again later.

        Raises:
            UnknownRow, LeaseLost: the row is not the owner's any more.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.SENT)
            reason = storable(reason)
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id)
                .values(
                    reason=reason,
                    not_before=now + timedelta(seconds=delay_seconds),
                    lease_owner=None,
                    lease_expires=None,
                )
            )
            if reason != delivery.reason:
                detail = f"{delivery.destination}: {reason}; will ask again"
                note(connection, job.id, now, "not proven yet", detail)

    def refused(self, delivery_id: int, owner: str, reason: str) -> None:
        """The destination gives no such proof. The job fails after its other deliveries have ended.

        Raises:
            UnknownRow, LeaseLost: the row is not the owner's any more.
        """
        self._end(delivery_id, owner, DeliveryAction.REFUSE, reason)

    def unanswered(self, delivery_id: int, owner: str, reason: str) -> None:
        """The destination said nothing for long enough; a report that comes later still counts.

        Raises:
            UnknownRow, LeaseLost: the row is not the owner's any more.
        """
        self._end(delivery_id, owner, DeliveryAction.NO_ANSWER, reason)

    def _end(self, delivery_id: int, owner: str, action: DeliveryAction, reason: str) -> None:
        now = self._database.clock()
        with self._database.write() as connection:
            job, delivery = owned(connection, delivery_id, owner, DeliveryState.SENT)
            end_with_reason(connection, job, delivery, action, reason, now)


def unproven_query(now: datetime, skip: Collection[str], take_over: bool = True) -> Any:
    """See `ProofTable.claim`."""
    not_leased = deliveries.c.lease_expires.is_(None)
    free = or_(not_leased, deliveries.c.lease_expires <= now) if take_over else not_leased
    query = (
        select(deliveries)
        .where(_UNPROVEN, deliveries.c.not_before <= now, free)
        .order_by(deliveries.c.not_before, deliveries.c.id)
        .limit(1)
    )
    return query.where(deliveries.c.destination.not_in(list(skip))) if skip else query


def _take(
    connection: Connection,
    job: Job,
    delivery: Delivery,
    asked: Collection[str],
    lacking: Mapping[CommitmentObject, str],
    now: datetime,
) -> None:
    """What a report means for its delivery, which may have moved on since it was asked."""
    awaits = delivery.state is DeliveryState.SENT and delivery.is_open
    if not awaits and delivery.state is not DeliveryState.UNANSWERED:
        detail = f"{delivery.destination}: changes nothing, the delivery is {delivery.state}"
        note(connection, job.id, now, "late report", detail)
        return
    missing = {obj.file: why for obj, why in lacking.items() if obj.file in delivery.files_to_send}
    if missing:
        _lack(connection, job, delivery, missing, now)
    elif set(delivery.files_to_send) <= set(asked):
        _prove(connection, job, delivery, "took responsibility for every object", now)


def _prove(connection: Connection, job: Job, delivery: Delivery, how: str, now: datetime) -> None:
    advance(connection, delivery, DeliveryAction.PROVE, now, reason=None, resend=None)
    what = "committed" if delivery.proof is Proof.COMMIT else "verified"
    note(connection, job.id, now, what, f"{delivery.destination} {how}")
    end_job(connection, job, now)


def _lack(connection: Connection, job: Job, delivery: Delivery, files: Mapping[str, str], now: datetime) -> None:
    reason = _lacking_words(files)
    failures = delivery.proof_failures + 1
    if failures > len(RESEND_AFTER) or delivery.state is DeliveryState.UNANSWERED:
        said = (
            f"stored, but {reason}; said {failures} times. Ask its administrator, then `wmh-node jobs retry {job.id}`"
        )
        end_with_reason(connection, job, delivery, DeliveryAction.REFUSE, said, now)
        return
    again = sorted(files, key=delivery.files.index)
    advance(
        connection, delivery, DeliveryAction.RESEND, now,
        settled_at=None, reason=storable(reason), proof_failures=failures, resend=again,
        not_before=now + timedelta(seconds=RESEND_AFTER[failures - 1]),
    )  # fmt: skip
    note(connection, job.id, now, "not committed", f"{delivery.destination}: {reason}; sent again")


def _lacking_words(files: Mapping[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for file, why in files.items():
        by_reason.setdefault(why, []).append(file.rpartition("/")[2])
    return "not held there: " + "; ".join(f"{', '.join(sorted(names))} ({why})" for why, names in by_reason.items())
