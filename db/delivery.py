"""A delivery: one result set on its way to one destination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from db.errors import DatabaseError


class DeliveryState(StrEnum):
    """Where a delivery stands: PENDING -> SENT, or GIVEN_UP, or CANCELLED with its job."""

    PENDING = "pending"
    SENT = "sent"
    GIVEN_UP = "given up"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """What a worker hands over for one destination.

    Attributes:
        destination: its name in the settings.
        files: relative to STORAGE, POSIX form, in the order in which they are sent.
    """

    destination: str
    files: Sequence[str]

    def __post_init__(self) -> None:
        if not self.destination or not self.files:
            raise DatabaseError(
                f"a delivery needs a destination and files; came {self.destination!r} and {len(self.files)} files"
            )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One destination's row.

    Attributes:
        attempts: how often it was claimed.
        refusals: how often in a row the destination has refused it.
        not_before: it is not claimed earlier.
        reason: what the last attempt that failed ran into.
        settled_at: when it was sent, given up or cancelled.
        report_out: the destination has the report, or may have it, though the set as a whole was not sent: other
            objects were refused, or nobody knows what became of the attempt.
    """

    id: int
    job_id: int
    destination: str
    files: tuple[str, ...]
    state: DeliveryState
    attempts: int
    refusals: int
    not_before: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    reason: str | None
    created_at: datetime
    settled_at: datetime | None
    report_out: bool

    @property
    def report_may_be_out(self) -> bool:
        """Whether the destination has the report, or may have it; also since somebody is just sending it.

        In doubt it may: a report that names one which is not there harms less than two that do not name each other.
        """
        return self.state is DeliveryState.SENT or self.report_out or self.lease_owner is not None
