"""Messages about the node on their way to people: one row for each channel, tried until the channel takes it."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Row, func, literal_column, or_, select, update

from db.engine.database import Database
from db.engine.values import storable
from db.records import AlarmSeverity, News, Notification, NotificationState
from db.schema import notifications

# No wait is longer. A time further ahead was written before the clock was set back.
_LONGEST_AHEAD: Final = timedelta(hours=1)
# As the index names it.
_PENDING: Final = notifications.c.state == literal_column("'pending'")


class NotificationTable:
    """Messages. Safe to use from several threads, processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, lease_seconds: float) -> Notification | None:
        """The oldest message of a channel that is due, counted as an attempt.

        Messages of one channel keep their order: a later one waits for an earlier one. When the claimer dies, the
        message is due again after the lease.
        """
        now = self._database.clock()
        is_due = or_(notifications.c.not_before <= now, notifications.c.not_before > now + _LONGEST_AHEAD)
        first = select(func.min(notifications.c.id)).where(_PENDING).group_by(notifications.c.channel)
        due = (
            select(notifications.c.id)
            .where(_PENDING, notifications.c.id.in_(first), is_due)
            .order_by(notifications.c.id)
            .limit(1)
        )
        with self._database.read() as connection:
            if connection.execute(due).first() is None:
                return None
        with self._database.write() as connection:
            found = connection.execute(due.with_for_update(skip_locked=True)).scalar()
            if found is None:
                return None
            claimed = connection.execute(
                update(notifications)
                .where(notifications.c.id == found)
                .values(attempts=notifications.c.attempts + 1, not_before=now + timedelta(seconds=lease_seconds))
                .returning(notifications)
            )
            return _record(claimed.one())

    def sent(self, notification_id: int, words: str | None = None) -> None:
        """The channel took it; `words`: what it said besides."""
        self._settle(notification_id, NotificationState.SENT, words)

    def give_up(self, notification_id: int, reason: str) -> None:
        """It is not tried any more."""
        self._settle(notification_id, NotificationState.GIVEN_UP, reason)

    def postpone(self, notification_id: int, wait_seconds: float, reason: str) -> None:
        """The channel did not take it; it is tried again after the wait."""
        at = self._database.clock() + timedelta(seconds=wait_seconds)
        with self._database.write() as connection:
            connection.execute(
                update(notifications)
                .where(notifications.c.id == notification_id, _PENDING)
                .values(not_before=at, reason=storable(reason))
            )

    def list(self, limit: int, states: Sequence[NotificationState] = ()) -> builtins.list[Notification]:
        """Messages, newest first."""
        query = select(notifications).order_by(notifications.c.id.desc()).limit(limit)
        if states:
            query = query.where(notifications.c.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def _settle(self, notification_id: int, state: NotificationState, reason: str | None) -> None:
        values = {"state": state.value, "settled_at": self._database.clock(), "reason": reason and storable(reason)}
        with self._database.write() as connection:
            connection.execute(
                update(notifications).where(notifications.c.id == notification_id, _PENDING).values(values)
            )


def _record(row: Row[tuple[object, ...]]) -> Notification:
    values = dict(row._mapping)
    return Notification(
        **{
            **values,
            "severity": AlarmSeverity(values["severity"]),
            "state": NotificationState(values["state"]),
            "news": tuple(News.of_json(piece) for piece in values["news"]),
        }
    )
