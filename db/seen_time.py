"""Time in which the node ran: what the days of retention count by.

A clock that is set forward makes everything old at once, and so does one that is wrong when the machine starts: neither
can be told from time that passed unseen. So only time counts that a process has lived through, whatever the clock said
meanwhile. It is kept as stretches of the clock's time, each by one process and without a step; of several processes, a
moment counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from db.engine.database import Database
from db.schema import seen_time

_MOST: Final = 10_000  # stretches: those of years, also where a role ends every few minutes


@dataclass(frozen=True, slots=True)
class Stretch:
    """One process has lived since `begun_at`, by a clock that was not set."""

    id: int
    begun_at: datetime


class SeenTime:
    """Stretches of time. Safe to use from several processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, seconds: float) -> Stretch:
        """A stretch of so many seconds, until now."""
        now = self._database.clock()
        begun = now - timedelta(seconds=seconds)
        with self._database.write() as connection:
            row = insert(seen_time).values(begun_at=begun, seen_at=now).returning(seen_time.c.id)
            number = int(connection.execute(row).scalar_one())
            connection.execute(delete(seen_time).where(seen_time.c.id <= number - _MOST))
        return Stretch(number, begun)

    def extend(self, stretch: Stretch, seconds: float) -> None:
        """It has so many seconds by now."""
        until = stretch.begun_at + timedelta(seconds=seconds)
        with self._database.write() as connection:
            connection.execute(update(seen_time).where(seen_time.c.id == stretch.id).values(seen_at=until))

    def before(self, kept: timedelta) -> datetime:
        """What is older than this has rested for `kept`, counted by time that was seen.

        Before the first stretch the calendar counts: that is all there is.
        """
        now = self._database.clock()
        with self._database.read() as connection:
            rows = connection.execute(select(seen_time.c.begun_at, seen_time.c.seen_at)).all()
        end, left = now, kept
        for begun, seen in _backwards(rows, now):
            if seen - begun >= left:
                return seen - left
            end, left = begun, left - (seen - begun)
        return end - left


def _backwards(rows: Sequence[Any], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The stretches up to now, the last first, those that overlap as one. What lies ahead was seen by a wrong clock."""
    past = sorted((row.begun_at, min(row.seen_at, now)) for row in rows if row.begun_at < now)
    joined: list[tuple[datetime, datetime]] = []
    for begun, seen in past:
        if joined and begun <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(seen, joined[-1][1])
        else:
            joined.append((begun, seen))
    return reversed(joined)
