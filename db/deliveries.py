"""Deliveries: one row for each result set and destination, so that none waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from db.engine import Database
from db.errors import LeaseLost
from db.events import note
from db.inbox import Clock, utc_now
from db.job_states import JobState, check_transition
from db.schema import deliveries, jobs


class DeliveryState(StrEnum):
    """Where a delivery stands; `pending` covers waiting and being sent."""

    PENDING = "pending"
    SENT = "sent"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Delivery:
    """A result set on its way to one destination; `files` are relative to STORAGE, times in UTC."""

    id: int
    job_id: int
    destination: str
    files: list[str]
    state: DeliveryState
    attempts: int
    due_at: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    reason: str | None
    created_at: datetime
    sent_at: datetime | None


class DeliveryTable:
    """Deliveries, safe to use from any number of deliverers. Each method is one transaction."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def claim(self, owner: str, lease_seconds: float) -> Delivery | None:
        """Take the row that is due longest, or None; a row whose sender died is taken when its lease has run out."""
        now = self._clock()
        free = or_(deliveries.c.lease_expires.is_(None), deliveries.c.lease_expires <= now)
        due = and_(deliveries.c.state == DeliveryState.PENDING.value, deliveries.c.due_at <= now, free)
        with self._database.write() as connection:
            row = connection.execute(
                select(deliveries)
                .where(due)
                .order_by(deliveries.c.due_at, deliveries.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                return None
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == row.id)
                .values(
                    attempts=row.attempts + 1,
                    lease_owner=owner,
                    lease_expires=now + timedelta(seconds=lease_seconds),
                )
            )
            return self._get(connection, row.id)

    def sent(self, delivery_id: int, owner: str) -> None:
        """The destination has it; the last one that has it ends the job as done.

        Raises:
            LeaseLost: the row is no longer the caller's.
        """
        now = self._clock()
        with self._database.write() as connection:
            delivery = self._owned(connection, delivery_id, owner)
            self._end(connection, delivery, DeliveryState.SENT, None, now)
            note(connection, delivery.job_id, now, "delivered", f"to {delivery.destination}, {_attempt(delivery)}")
            self._end_job(connection, delivery.job_id, now)

    def postpone(self, delivery_id: int, owner: str, reason: str, delay_seconds: float) -> None:
        """Try again after a while.

        Raises:
            LeaseLost: the row is no longer the caller's.
        """
        now = self._clock()
        with self._database.write() as connection:
            delivery = self._owned(connection, delivery_id, owner)
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery_id)
                .values(
                    reason=reason,
                    due_at=now + timedelta(seconds=delay_seconds),
                    lease_owner=None,
                    lease_expires=None,
                )
            )
            # A PACS that is down for days would fill the timeline: a reason is told when it changes.
            if reason != delivery.reason:
                detail = f"to {delivery.destination}, {_attempt(delivery)}: {reason}"
                note(connection, delivery.job_id, now, "not delivered yet", detail)

    def give_up(self, delivery_id: int, owner: str, reason: str) -> None:
        """The destination will not take it; the job fails once no other destination is still to be served.

        Raises:
            LeaseLost: the row is no longer the caller's.
        """
        now = self._clock()
        with self._database.write() as connection:
            delivery = self._owned(connection, delivery_id, owner)
            self._end(connection, delivery, DeliveryState.GIVEN_UP, reason, now)
            note(connection, delivery.job_id, now, "delivery given up", f"to {delivery.destination}: {reason}")
            self._end_job(connection, delivery.job_id, now)

    def list(self, job_id: int | None = None, limit: int = 1000) -> Sequence[Delivery]:
        """Deliveries of a job, or of all, oldest first."""
        query = select(deliveries).order_by(deliveries.c.id).limit(limit)
        if job_id is not None:
            query = query.where(deliveries.c.job_id == job_id)
        with self._database.read() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    def _end(
        self, connection: Connection, delivery: Delivery, state: DeliveryState, reason: str | None, now: datetime
    ) -> None:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id)
            .values(
                state=state.value,
                reason=reason,
                sent_at=now if state is DeliveryState.SENT else None,
                lease_owner=None,
                lease_expires=None,
            )
        )

    def _end_job(self, connection: Connection, job_id: int, now: datetime) -> None:
        # The job's row is the lock that makes one of two last deliveries see the other's end.
        job = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one()
        counts = dict(
            connection.execute(
                select(deliveries.c.state, func.count())
                .where(deliveries.c.job_id == job_id)
                .group_by(deliveries.c.state)
            ).tuples()
        )
        if counts.get(DeliveryState.PENDING.value) or job.state != JobState.DELIVERING:
            return
        given_up = connection.execute(
            select(deliveries.c.reason)
            .where(deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.GIVEN_UP.value)
            .order_by(deliveries.c.id)
        ).scalars()
        reason = "; ".join(text for text in given_up if text) or None
        after = JobState.FAILED if counts.get(DeliveryState.GIVEN_UP.value) else JobState.DONE
        check_transition(job_id, JobState(job.state), after)
        connection.execute(
            update(jobs).where(jobs.c.id == job_id).values(state=after.value, reason=reason, updated_at=now)
        )
        note(connection, job_id, now, after.value, reason or "every destination has the results")

    def _owned(self, connection: Connection, delivery_id: int, owner: str) -> Delivery:
        row = connection.execute(select(deliveries).where(deliveries.c.id == delivery_id).with_for_update()).first()
        if row is None or row.lease_owner != owner or row.state != DeliveryState.PENDING:
            raise LeaseLost(f"delivery {delivery_id} is no longer {owner}'s")
        return _delivery(row)

    def _get(self, connection: Connection, delivery_id: int) -> Delivery:
        return _delivery(connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one())


def _attempt(delivery: Delivery) -> str:
    return f"attempt {delivery.attempts}"


def _delivery(row: Row[Any]) -> Delivery:
    values = dict(row._mapping)
    return Delivery(**values | {"state": DeliveryState(values["state"])})
