"""Alarms: what is wrong with the node now, since when, and what people were informed of.

A look at the node and the messages about it are one transaction: a restart neither repeats a message nor forgets one.
The rules are `next_alarms`, a function of rows and time; `db/notifications.py` sends the messages on their way.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from db.engine.database import Database
from db.engine.turns import take_turn
from db.engine.upsert import upsert
from db.engine.values import storable
from db.records import Alarm, AlarmNews, AlarmSeverity, News, NotificationState, Observed
from db.schema import alarms, notifications

_KEPT: Final = timedelta(days=90)
"""Messages that were sent, or given up, are removed after this."""
_MOST_WORDS: Final = 2000


@dataclass(frozen=True, slots=True)
class AlarmPolicy:
    """How patient to be.

    Attributes:
        after: how long a condition holds before people hear of it, and how long it is gone before it counts as over.
        repeat: people are reminded of what lasts this often.
        digest: least time between two messages; what happens between is in the next one.
    """

    after: timedelta
    repeat: timedelta
    digest: timedelta


class AlarmTable:
    """What is wrong. Safe to use from several threads, processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def observe(self, observed: Sequence[Observed], policy: AlarmPolicy, channels: Sequence[str]) -> tuple[News, ...]:
        """Write down what a look at the node found; what people should hear becomes a message to each channel.

        Returns:
            What the message holds; empty when none is due.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            take_turn(connection, "alarms")
            before = {alarm.key: alarm for alarm in _rows(connection)}
            may_speak = bool(channels) and _is_free(connection, now, policy.digest)
            after, news = next_alarms(before, observed, now, policy, may_speak=may_speak)
            _store(connection, before, after)
            connection.execute(
                delete(notifications).where(
                    notifications.c.state != NotificationState.PENDING.value, notifications.c.created_at < now - _KEPT
                )
            )
            if news:
                _enqueue(connection, now, news, channels)
        return news

    def list(self) -> tuple[Alarm, ...]:
        """What is wrong now, also what people have not heard of yet; by key."""
        with self._database.read() as connection:
            return tuple(_rows(connection))


def next_alarms(
    before: Mapping[str, Alarm],
    observed: Sequence[Observed],
    now: datetime,
    policy: AlarmPolicy,
    *,
    may_speak: bool,
) -> tuple[dict[str, Alarm], tuple[News, ...]]:
    """The rows after a look, and what people should hear.

    | the condition                                   | row               | news     |
    |-------------------------------------------------|-------------------|----------|
    | holds, for less than `after`                    | kept              | -        |
    | holds for `after`                               | announced         | began    |
    | was announced, is critical now                  | announced again   | worse    |
    | was announced `repeat` ago, holds               | announced again   | lasts    |
    | is gone, was never announced                    | removed           | -        |
    | is gone for less than `after`                   | kept              | -        |
    | is gone for `after`                             | removed           | over     |

    Where `may_speak` is false, what is due stays due.
    """
    found = {condition.key: condition for condition in observed}
    after: dict[str, Alarm] = {}
    news: list[News] = []
    for key in sorted({*before, *found}):
        row = _seen(before.get(key), found.get(key), now)
        what = _due(row, now, policy)
        if row.gone_at is not None and row.announced_at is None:
            continue
        if what is None or not may_speak:
            after[key] = row
            continue
        news.append(News(what, key, row.severity, row.words, row.since))
        if what is not AlarmNews.OVER:
            after[key] = replace(row, announced_at=now, announced_severity=row.severity)
    return after, tuple(news)


def _seen(row: Alarm | None, found: Observed | None, now: datetime) -> Alarm:
    """The row with what this look found."""
    if found is not None:
        words = storable(found.words)[:_MOST_WORDS]
        if row is None:
            return Alarm(found.key, found.severity, words, since=now)
        return replace(_not_later(row, now), severity=found.severity, words=words, gone_at=None)
    assert row is not None
    row = _not_later(row, now)
    return replace(row, gone_at=row.gone_at or now)


def _not_later(row: Alarm, now: datetime) -> Alarm:
    """After the clock was set back, times that lie in the future are brought back."""
    announced, gone = row.announced_at and min(row.announced_at, now), row.gone_at and min(row.gone_at, now)
    return replace(row, since=min(row.since, now), announced_at=announced, gone_at=gone)


def _due(row: Alarm, now: datetime, policy: AlarmPolicy) -> AlarmNews | None:
    if row.gone_at is not None:
        return AlarmNews.OVER if now - row.gone_at >= policy.after else None
    if row.announced_at is None:
        return AlarmNews.BEGAN if now - row.since >= policy.after else None
    if row.severity is AlarmSeverity.CRITICAL and row.announced_severity is not AlarmSeverity.CRITICAL:
        return AlarmNews.WORSE
    return AlarmNews.LASTS if now - row.announced_at >= policy.repeat else None


def _rows(connection: Connection) -> Iterator[Alarm]:
    for row in connection.execute(select(alarms).order_by(alarms.c.key)):
        values = dict(row._mapping)
        announced = values.pop("announced_severity")
        yield Alarm(
            **{**values, "severity": AlarmSeverity(values["severity"])},
            announced_severity=announced and AlarmSeverity(announced),
        )


def _is_free(connection: Connection, now: datetime, digest: timedelta) -> bool:
    """Whether the last message is long enough ago."""
    last = connection.execute(select(func.max(notifications.c.created_at))).scalar_one()
    return last is None or not timedelta(0) <= now - last < digest


def _store(connection: Connection, before: Mapping[str, Alarm], after: Mapping[str, Alarm]) -> None:
    if gone := before.keys() - after.keys():
        connection.execute(delete(alarms).where(alarms.c.key.in_(gone)))
    for key, alarm in after.items():
        if before.get(key) == alarm:
            continue
        values = {
            "severity": alarm.severity.value,
            "words": alarm.words,
            "since": alarm.since,
            "gone_at": alarm.gone_at,
            "announced_at": alarm.announced_at,
            "announced_severity": alarm.announced_severity and alarm.announced_severity.value,
        }
        row = upsert(connection.dialect.name)(alarms).values(key=key, **values)
        connection.execute(row.on_conflict_do_update(index_elements=[alarms.c.key], set_=values))


def _enqueue(connection: Connection, now: datetime, news: Sequence[News], channels: Sequence[str]) -> None:
    """One row for each channel, all about the same event."""
    event = uuid.uuid4().hex
    severity = max((piece.severity for piece in news), key=list(AlarmSeverity).index)
    for channel in channels:
        connection.execute(
            insert(notifications).values(
                event_id=event,
                channel=channel,
                severity=severity.value,
                news=[piece.as_json() for piece in news],
                state=NotificationState.PENDING.value,
                attempts=0,
                not_before=now,
                created_at=now,
            )
        )
