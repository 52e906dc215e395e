"""The inbox: what was received, by which association, into which series."""

from __future__ import annotations

from collections.abc import Sequence

from db.engine import Database
from db.job import Job
from db.received import (
    AssociationEnd,
    ReceivedInstance,
    RecordOutcome,
    SeriesActivity,
    StoredInstance,
)

__all__ = ["AssociationEnd", "Inbox", "ReceivedInstance", "RecordOutcome", "SeriesActivity", "StoredInstance"]


class Inbox:
    """Rows of received instances. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_association(self, calling_ae_title: str, called_ae_title: str, address: str, receiver: str) -> int:
        """Write down that an association began; returns its id."""
        raise NotImplementedError

    def end_association(self, association_id: int, end: AssociationEnd) -> None:
        """Write down how an association ended; a second end of the same association changes nothing."""
        raise NotImplementedError

    def end_orphans(self, receiver: str) -> int:
        """At the receiver's start: end as LOST what its killed predecessor left open; returns how many."""
        raise NotImplementedError

    def record(self, batch: Sequence[ReceivedInstance]) -> list[RecordOutcome]:
        """Record instances in one durable transaction; when this returns, a power cut does not undo it."""
        raise NotImplementedError

    def open_series(self) -> list[SeriesActivity]:
        """Series with instances newer than their last verdict."""
        raise NotImplementedError

    def instances_of(self, series_instance_uid: str) -> list[StoredInstance]:
        """All instances of a series, conflicts included, in the order in which they became durable."""
        raise NotImplementedError

    def reject_series(self, series_instance_uid: str, code: str, reason: str, instance_count: int | None = None) -> Job:
        """End a series as rejected; gives a job in state `rejected`, so that it is listed and explained.

        Args:
            instance_count: how many instances the verdict is about (the first so many); what came after them opens the
                series again. None: all that are there now.
        """
        raise NotImplementedError
