"""What is not sent yet is not sent any more; what is just being sent may arrive all the same."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, or_, update

from db.delivery import DeliveryState
from db.schema import deliveries


def withdraw_deliveries(connection: Connection, job_id: int, now: datetime) -> int:
    """Cancel the pending deliveries of a locked job; returns how many there were.

    Who is just sending one loses the lease and ends its C-STORE: the destination may have the report then.
    """
    # One statement: a claim that commits in between is waited for, and its lease is seen.
    return connection.execute(
        update(deliveries)
        .where(deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.PENDING.value)
        .values(
            state=DeliveryState.CANCELLED.value,
            settled_at=now,
            report_out=or_(deliveries.c.report_out, deliveries.c.lease_owner.is_not(None)),
            lease_owner=None,
            lease_expires=None,
        )
    ).rowcount
