"""Days that count: those that the node lived through, whatever its clock said."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import text
from support.clock import ManualClock

from db.engine import Database, open_database
from db.engine.migrate import config_for, upgrade
from db.seen_time import SeenTime

DAY = 86_400.0
WEEK = timedelta(days=7)


@pytest.fixture
def seen(database: Database) -> SeenTime:
    """On the manual clock."""
    return SeenTime(database)


def live(seen: SeenTime, clock: ManualClock, days: float) -> None:
    """A process runs for so long."""
    stretch = seen.begin(0)
    clock.pass_seconds(days * DAY)
    seen.extend(stretch, days * DAY)


def test_the_calendar_counts_where_nothing_was_seen(seen: SeenTime, clock: ManualClock) -> None:
    """A database without a stretch has nothing else."""
    assert seen.before(WEEK) == clock.now - WEEK


def test_a_node_that_runs_counts_by_the_calendar(seen: SeenTime, clock: ManualClock) -> None:
    """Also through restarts, and by two processes at once, whose days count once."""
    live(seen, clock, 4)
    other, began = seen.begin(2 * DAY), clock.now
    live(seen, clock, 6)
    seen.extend(other, 8 * DAY)
    assert seen.before(WEEK) == clock.now - WEEK
    assert seen.before(timedelta(days=1)) == clock.now - timedelta(days=1)
    assert seen.before(timedelta(days=12)) == began - timedelta(days=6)


@pytest.mark.parametrize("days", [0.5, 8, 26 * 365])
def test_a_clock_that_is_set_forward_makes_nothing_older(seen: SeenTime, clock: ManualClock, days: float) -> None:
    """Noticed by a process, or while none ran: seven days that were lived through, before and after together."""
    live(seen, clock, 10)
    stepped = clock.now
    clock.step(days * DAY)
    assert seen.before(WEEK) == stepped - WEEK
    live(seen, clock, 3)
    assert seen.before(WEEK) == stepped - timedelta(days=4)
    live(seen, clock, 4)
    assert seen.before(WEEK) == clock.now - WEEK


def test_a_clock_that_was_ahead_for_a_while(seen: SeenTime, clock: ManualClock) -> None:
    """What it lived through then counts no more once it is set back, and nothing is younger than the calendar says."""
    live(seen, clock, 10)
    clock.step(365 * DAY)
    live(seen, clock, 2)
    clock.step(-365 * DAY)
    before = clock.now - timedelta(days=2)
    live(seen, clock, 1)
    assert seen.before(WEEK) == before - timedelta(days=6)


def test_a_node_of_the_version_before_counts_on(empty_url: str) -> None:
    """The time in which it received stays; an empty one begins with none."""
    clock = ManualClock()
    with closing(open_database(empty_url, clock)) as database:
        upgrade(empty_url)
        with database.write() as connection:
            command.downgrade(config_for(connection), "0022")
            connection.execute(text(
                "INSERT INTO series (series_instance_uid, study_instance_uid, instance_count, conflict_count, "
                "judged_count, duplicate_count, first_received_at, last_received_at, priority) VALUES "
                "('1.2', '1', 1, 0, 1, 0, '2026-11-01 08:00:00', '2026-11-24 07:00:00', 'medium')"
            ))  # fmt: skip
        upgrade(empty_url)
        clock.step(365 * DAY)
        assert SeenTime(database).before(WEEK) == ManualClock().now - timedelta(days=7, hours=1)
