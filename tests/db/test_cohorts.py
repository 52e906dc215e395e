"""Cohorts and their items, as every process and machine sees them."""

from __future__ import annotations

import threading

import pytest
from support.clock import ManualClock

from db.browse import newest_marks
from db.cohorts import CohortItem, CohortRules, CohortState, CohortTable, ItemState, NewItem
from db.engine import Database
from db.errors import LeaseLost, UnknownRow
from db.jobs import JobTable


def _added(database: Database, count: int, name: str = "c", source: str = "pacs") -> CohortTable:
    table = CohortTable(database)
    items = [NewItem(line, {"group": "case"}, f"1.2.{line}", None) for line in range(1, count + 1)]
    table.add(name, source, CohortRules(), items, "test")
    return table


def test_one_archive_is_asked_by_one_process(database: Database) -> None:
    """Many processes that claim at the same moment: of one archive one of them gets an item."""
    table = _added(database, 20)
    _added(database, 20, "elsewhere", "other")
    found: list[CohortItem] = []
    begin = threading.Barrier(8)

    def claim(owner: str) -> None:
        begin.wait(20)
        item = table.claim(owner, 60, 12)
        if item is not None:
            found.append(item)

    threads = [threading.Thread(target=claim, args=(f"r{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(item.source for item in found) == ["other", "pacs"]


def test_an_item_from_waiting_to_done(database: Database, clock: ManualClock) -> None:
    """What the archive lists is kept; an attempt that does not count is given back; the end frees the archive."""
    table = _added(database, 2)
    item = table.claim("r", 60, 12)
    assert item is not None
    table.expects(item.id, "r", "1.2.1", {"1.2.1.1": ["b", "a"]})
    table.moving(item.id, "r")
    table.postpone(item.id, "r", "down", 30.0, counts=False)
    first, _second = table.items("c")
    assert (first.attempts, first.reason, first.expected) == (0, "down", {"1.2.1.1": ["a", "b"]})
    second = table.claim("r", 60, 12)
    assert second is not None and second.line == 2
    table.end(second.id, "r", ItemState.DONE)
    clock.pass_seconds(31)
    again = table.claim("r", 60, 12)
    assert again is not None and again.id == item.id
    assert table.heartbeat(item.id, "r", 60)
    assert not table.heartbeat(item.id, "another", 60)
    with pytest.raises(LeaseLost):
        table.end(item.id, "another", ItemState.DONE)
    table.end(item.id, "r", ItemState.FAILED, "tried often")
    assert not table.something_waits()
    assert table.try_again("c", "alice") == 1
    assert table.get("c").counts == {"waiting": 1, "done": 1, "failed": 0}
    with pytest.raises(UnknownRow):
        table.get("none")


def test_an_open_page_sees_each_change(database: Database) -> None:
    """The number that open pages look at grows with each step of an item and with a pause, and not with a heartbeat."""
    table, seen = _added(database, 1), [0]

    def has_changed() -> bool:
        seen.append(newest_marks(database)[2])
        return seen[-1] > seen[-2]

    assert has_changed()
    item = table.claim("r", 60, 12)
    assert item is not None and has_changed()
    assert table.heartbeat(item.id, "r", 60) and not has_changed()
    table.expects(item.id, "r", "1.2.1", {"1.2.1.1": ["a"]})
    assert has_changed()
    table.postpone(item.id, "r", "down", 0.0, counts=False)
    assert has_changed()
    assert table.claim("r", 60, 12) is not None and has_changed()
    table.end(item.id, "r", ItemState.FAILED, "tried often")
    assert has_changed()
    table.try_again("c", "alice")
    assert has_changed()
    table.set_state("c", CohortState.PAUSED, "alice")
    assert has_changed()
    _added(database, 1, "another")
    assert has_changed()


def test_paused_or_behind_live_work_nothing_is_claimed(database: Database) -> None:
    """A pause and a queued job both keep an item where it is."""
    table = _added(database, 1)
    table.set_state("c", CohortState.PAUSED, "alice")
    assert (table.something_waits(), table.claim("r", 60, 12)) == (False, None)
    table.set_state("c", CohortState.ACTIVE, "alice")
    JobTable(database).enqueue("9.9", "0" * 64, 1)
    assert (table.something_waits(), table.claim("r", 60, 12)) == (True, None)


def test_rows_page_by_page(database: Database) -> None:
    """Rows come in the order of the list, so many at a time and by state, of this cohort alone."""
    table = _added(database, 5)
    other = _added(database, 5, "elsewhere", "other").get("elsewhere")
    cohort = table.numbered(table.get("c").id)
    assert cohort.name == "c"
    item = table.claim("r", 60, 12, ["other"])
    assert item is not None
    table.expects(item.id, "r", "1.2.1", {"1.2.1.1": ["a", "b"], "1.2.1.2": ["c"]})
    table.end(item.id, "r", ItemState.FAILED, "lost")
    first = table.lines(cohort.id, 2)
    assert [(line.line, line.instances_expected, line.reason) for line in first] == [(1, 3, "lost"), (2, None, None)]
    assert [line.line for line in table.lines(cohort.id, 9, after=2)] == [3, 4, 5]
    assert [line.line for line in table.lines(cohort.id, 9, state=ItemState.FAILED)] == [1]
    assert table.lines(other.id, 9, state=ItemState.FAILED) == []
    with pytest.raises(UnknownRow, match="no cohort 99"):
        table.numbered(99)
