"""What people hear of, and when; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.clock import ManualClock

from db.alarms import AlarmPolicy, AlarmTable
from db.engine import Database
from db.notifications import NotificationTable
from db.records import AlarmNews, AlarmSeverity, NotificationState, Observed

POLICY = AlarmPolicy(after=timedelta(minutes=10), repeat=timedelta(hours=24), digest=timedelta(minutes=15))
DOWN = Observed("destination pacs", AlarmSeverity.WARNING, "3 wait")
FULL = Observed("storage", AlarmSeverity.WARNING, "96 % used")
CRITICAL = Observed("storage", AlarmSeverity.CRITICAL, "the node refuses images")


class Watched:
    """Looks at what a test says is wrong, with a new table each time, as after a restart."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self._database, self._clock = database, clock

    def look(self, *found: Observed, after_minutes: float = 0.0) -> list[tuple[AlarmNews, str]]:
        self._clock.pass_seconds(60 * after_minutes)
        news = AlarmTable(self._database).observe(found, POLICY, ("mail", "webhook"))
        return [(piece.what, piece.key) for piece in news]


@pytest.fixture
def node(database: Database, clock: ManualClock) -> Watched:
    return Watched(database, clock)


def test_a_condition_is_reported_once_it_has_held(node: Watched) -> None:
    """What holds for ten minutes is reported once, not before and not again at each look or restart."""
    assert node.look(DOWN) == []
    assert node.look(DOWN, after_minutes=9) == []
    assert node.look(DOWN, after_minutes=1) == [(AlarmNews.BEGAN, "destination pacs")]
    assert [node.look(DOWN, after_minutes=30) for _ in range(4)] == [[]] * 4


def test_a_condition_that_comes_and_goes_is_not_reported(node: Watched) -> None:
    """A PACS that is away for five minutes every quarter of an hour disturbs no person."""
    for _ in range(10):
        assert node.look(DOWN, after_minutes=5) == []
        assert node.look(after_minutes=5) == []


def test_the_end_is_reported_once_it_lasts(node: Watched) -> None:
    """Over is said ten minutes after the end; what comes back before goes on as the same condition."""
    node.look(DOWN)
    node.look(DOWN, after_minutes=10)
    assert node.look(after_minutes=20) == []
    assert node.look(DOWN, after_minutes=5) == []
    assert node.look(after_minutes=5) == []
    assert node.look(after_minutes=10) == [(AlarmNews.OVER, "destination pacs")]
    assert node.look(after_minutes=60) == []


def test_what_lasts_is_repeated_and_what_grows_worse_is_said(node: Watched) -> None:
    """A reminder a day; a warning that becomes critical is reported at the next message."""
    node.look(FULL)
    assert node.look(FULL, after_minutes=10) == [(AlarmNews.BEGAN, "storage")]
    assert node.look(CRITICAL, after_minutes=16) == [(AlarmNews.WORSE, "storage")]
    assert node.look(CRITICAL, after_minutes=23 * 60) == []
    assert node.look(CRITICAL, after_minutes=60) == [(AlarmNews.LASTS, "storage")]


def test_what_happens_soon_after_a_message_is_in_one_digest(node: Watched) -> None:
    """A message is followed by the next one a quarter of an hour later at the earliest, with all that is due."""
    node.look(DOWN)
    assert node.look(DOWN, FULL, after_minutes=10) == [(AlarmNews.BEGAN, "destination pacs")]
    assert node.look(FULL, after_minutes=1) == []
    assert node.look(FULL, after_minutes=13) == []
    assert node.look(FULL, after_minutes=1) == [(AlarmNews.OVER, "destination pacs"), (AlarmNews.BEGAN, "storage")]


def test_a_clock_set_back_delays_nothing(node: Watched, clock: ManualClock) -> None:
    """After the clock was set back by a day, a condition is reported ten minutes later, not a day later."""
    node.look(DOWN)
    clock.pass_seconds(-86_400)
    assert node.look(DOWN) == []
    assert node.look(DOWN, after_minutes=10) == [(AlarmNews.BEGAN, "destination pacs")]


def test_a_message_waits_for_the_earlier_one_of_its_channel(
    node: Watched, database: Database, clock: ManualClock
) -> None:
    """A channel gets messages in order; the other channel does not wait; each is taken once."""
    table = NotificationTable(database)
    node.look(DOWN)
    node.look(DOWN, after_minutes=10)
    node.look(after_minutes=10)
    node.look(after_minutes=10)
    first = table.claim(300)
    assert first is not None and (first.channel, first.attempts, first.news[0].what) == ("mail", 1, AlarmNews.BEGAN)
    table.postpone(first.id, 3600, "connection refused")
    for what in (AlarmNews.BEGAN, AlarmNews.OVER):
        claimed = table.claim(300)
        assert claimed is not None and (claimed.channel, claimed.news[0].what) == ("webhook", what)
        table.sent(claimed.id)
    assert table.claim(300) is None
    clock.pass_seconds(3600)
    again = table.claim(300)
    assert again is not None and (again.id, again.attempts, again.event_id) == (first.id, 2, first.event_id)
    assert table.claim(300) is None
    table.give_up(again.id, "no mail server")
    states = {message.id: message.state for message in table.list(10)}
    assert states[first.id] is NotificationState.GIVEN_UP
    assert list(states.values()).count(NotificationState.SENT) == 2


def test_a_claim_whose_holder_died_is_due_again(node: Watched, database: Database, clock: ManualClock) -> None:
    """A process that is killed while it sends loses no message."""
    node.look(DOWN)
    node.look(DOWN, after_minutes=10)
    table = NotificationTable(database)
    held = {message.channel for message in (table.claim(300), table.claim(300)) if message is not None}
    assert held == {"mail", "webhook"} and table.claim(300) is None
    clock.pass_seconds(300)
    again = table.claim(300)
    assert again is not None and again.attempts == 2
