"""Whether a destination has what it was promised: the only place that decides which deliveries count as proven.

Nothing that is not proven may be removed from STORAGE.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, and_, literal_column, or_, select

from db.records import DeliveryKind, DeliveryState
from db.schema import deliveries
from db.settling import IS_OPEN

# What was taken back because a newer result replaces it needs no proof.
_NEEDS_NO_PROOF: Final = deliveries.c.state == DeliveryState.CANCELLED.value
_IS_PROVEN: Final = or_(
    deliveries.c.state == DeliveryState.COMMITTED.value,
    # Stored, where that is all that the destination promised.
    and_(
        deliveries.c.state == DeliveryState.SENT.value,
        deliveries.c.settled_at.is_not(None),
        deliveries.c.proof.is_(None),
    ),
)
_ARE_RESULTS: Final = deliveries.c.kind == DeliveryKind.RESULTS.value


def is_proven(job_id: Any) -> ColumnElement[bool]:
    """Whether at least one destination has the results of a job, and every one has what it was promised.

    A job that nothing was sent for is not proven: its results are in STORAGE alone.

    Args:
        job_id: column of the job's number, in the query that asks.
    """
    return and_(_some(job_id, _ARE_RESULTS, _IS_PROVEN), ~_some(job_id, _ARE_RESULTS, ~_IS_PROVEN, ~_NEEDS_NO_PROOF))


def is_waited_for(job_id: Any) -> ColumnElement[bool]:
    """Whether something of a job is still to be sent or proven, a withdrawal too."""
    return _some(job_id, IS_OPEN)


def _some(job_id: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    found: Any = select(literal_column("1")).select_from(deliveries).where(deliveries.c.job_id == job_id, *conditions)
    there: ColumnElement[bool] = found.exists()
    return there
