"""From a condition to a person, over failures and restarts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.clock import ManualClock
from support.databases import with_schema

from db.alarms import AlarmPolicy, AlarmTable
from db.engine import Database, open_database
from db.errors import DatabaseUnavailable
from db.notifications import NotificationTable
from db.records import AlarmNews, AlarmSeverity, NotificationState, Observed
from dicom_node.node.clock import ClockWatch
from dicom_node.node.mail_settings import WorkingWeek
from dicom_node.notify.errors import NotTaken
from dicom_node.notify.message import Message
from dicom_node.notify.notifier import Notifier

POLICY = AlarmPolicy(after=timedelta(minutes=10), repeat=timedelta(hours=24), digest=timedelta(minutes=15))


class Channel:
    """Takes messages when `works`."""

    name = "mail"

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.tried = 0
        self.works = True
        self.fault: Exception = NotTaken("127.0.0.1:25 answered with code 451")

    def check(self) -> str:
        return "mail"

    def send(self, message: Message) -> str | None:
        self.tried += 1
        if not self.works:
            raise self.fault
        self.taken.append(message)
        return None


class Node:
    """A node whose clock a test moves and which it starts again at will."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database, self.clock, self.channel = database, clock, Channel()
        self.found: Sequence[Observed] = ()
        self.steady = 0.0
        self.start()

    def start(self) -> None:
        self.notifier = Notifier(
            AlarmTable(self.database), NotificationTable(self.database), [self.channel], POLICY, "WMHNODE@node1",
            lambda: self.found, self.clock, lambda: self.steady,
        )  # fmt: skip

    def pass_minutes(self, minutes: float) -> None:
        """In steps of half a minute, each followed by all that is due."""
        for _ in range(int(2 * minutes)):
            self.clock.pass_seconds(30)
            self.steady += 30
            while self.notifier.step() == 0.0:
                pass


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    settled = ClockWatch(lambda: 0.0, lambda: 0.0)
    monkeypatch.setattr("dicom_node.notify.notifier.clock_watch", lambda: settled)
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    with_schema(url)
    clock = ManualClock()
    with closing(open_database(url, clock)) as database:
        yield Node(database, clock)


def _heard(node: Node) -> list[list[tuple[str, str]]]:
    return [[(str(piece.what), piece.key) for piece in message.news] for message in node.channel.taken]


def test_a_message_goes_out_once_whatever_happens(node: Node) -> None:
    """A channel that fails and a node that is started again: one message each, with the same id, in order."""
    node.found = [Observed("destination pacs", AlarmSeverity.WARNING, "3 wait")]
    node.channel.works = False
    node.pass_minutes(15)
    assert node.channel.taken == [] and 2 < node.channel.tried < 10
    waiting = NotificationTable(node.database).list(9)
    assert [(row.state, row.reason) for row in waiting] == [
        (NotificationState.PENDING, "127.0.0.1:25 answered with code 451")
    ]
    node.start()
    node.found = ()
    node.pass_minutes(20)
    node.channel.works = True
    node.start()
    node.pass_minutes(60)
    assert _heard(node) == [[("began", "destination pacs")], [("over", "destination pacs")]]
    assert node.channel.taken[0].event_id == waiting[0].event_id


def test_a_clock_set_back_holds_no_message_back(node: Node) -> None:
    """A message that was written while the clock was a year ahead goes out, and so do those behind it."""
    AlarmTable(node.database).observe([Observed("jobs", AlarmSeverity.WARNING, "old")], POLICY, ())
    node.clock.pass_seconds(600)
    AlarmTable(node.database).observe([Observed("jobs", AlarmSeverity.WARNING, "old")], POLICY, ("mail",))
    node.clock.pass_seconds(-365 * 86_400)
    node.found = [Observed("jobs", AlarmSeverity.WARNING, "old")]
    node.pass_minutes(1)
    assert _heard(node) == [[("began", "jobs")]]


def test_a_message_of_a_channel_that_is_gone_is_given_up(node: Node) -> None:
    """A channel that was removed from the settings leaves nothing that waits for ever."""
    AlarmTable(node.database).observe([Observed("jobs", AlarmSeverity.WARNING, "old")], POLICY, ())
    node.clock.pass_seconds(600)
    AlarmTable(node.database).observe([Observed("jobs", AlarmSeverity.WARNING, "old")], POLICY, ("webhook",))
    node.pass_minutes(1)
    (message,) = NotificationTable(node.database).list(9)
    assert (message.state, message.reason) == (NotificationState.GIVEN_UP, "webhook is not in the settings any more")


def test_an_error_of_another_kind_ends_nothing(node: Node) -> None:
    """A channel that fails with an error that it does not know is tried again; the role, and its deliveries, go on."""
    node.found = [Observed("jobs", AlarmSeverity.WARNING, "old")]
    node.channel.works, node.channel.fault = False, ValueError("a header with a line break")
    node.pass_minutes(15)
    (message,) = NotificationTable(node.database).list(9)
    assert message.state is NotificationState.PENDING and message.reason is not None and "ValueError" in message.reason
    node.channel.works = True
    node.pass_minutes(30)
    assert _heard(node) == [[("began", "jobs")]]


def test_a_database_that_is_away_is_reported_directly(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes without the database give one message, and another one only after it came back."""

    def away(*_arguments: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(node.notifier, "_look", away)
            for _ in range(60):
                node.steady += 30
                with pytest.raises(DatabaseUnavailable):
                    node.notifier.step()
        node.pass_minutes(1)
    assert [[(piece.what, piece.key) for piece in message.news] for message in node.channel.taken] == [
        [(AlarmNews.BEGAN, "database")]
    ] * 2


@pytest.mark.parametrize(
    ("week", "start", "end", "hours"),
    [
        ("Mon-Fri 08:00-18:00", "2026-11-27T17:00", "2026-11-30T09:00", 2.0),  # Friday to Monday
        ("Mon-Fri 08:00-18:00", "2026-11-30T10:00", "2026-11-30T10:30", 0.5),
        ("Sat-Sun 00:00-24:00", "2026-11-27T17:00", "2026-11-30T09:00", 48.0),
        ("Sun 09:00-12:00", "2026-11-23T00:00", "2026-11-30T00:00", 3.0),
        ("Mon-Fri 08:00-18:00", "2026-11-30T10:00", "2026-11-29T10:00", 0.0),
    ],
)
def test_silence_counts_working_hours_only(week: str, start: str, end: str, hours: float) -> None:
    """A weekend without images is no silence."""
    times = (datetime.fromisoformat(time).astimezone() for time in (start, end))
    assert WorkingWeek.of(week).hours_between(*times) == pytest.approx(hours, abs=1e-3)
