"""Drift on both databases: results by scanner and month."""

from __future__ import annotations

from datetime import UTC, datetime

from support.clock import ManualClock
from support.received import instance, series_uid

from db.drift import DriftLine, drift
from db.engine import Database
from db.inbox import Inbox
from db.jobs import JobTable


def _result(database: Database, name: str, scanner: str, volume: float | None, *, review: bool, **more: str) -> None:
    inbox, jobs = Inbox(database), JobTable(database)
    association = inbox.open_association(scanner, "WMHNODE", "10.0.0.7", "receiver")
    inbox.record([instance(series_uid(name), 1, association)])
    job = jobs.enqueue(series_uid(name), "a" * 64, 1)
    jobs.claim("worker", 60)
    jobs.deliver(job.id, "worker", {"wmh_volume_ml": volume, "review_recommended": review} | more, [])


def _wait_until(clock: ManualClock, at: datetime) -> None:
    clock.pass_seconds((at - clock()).total_seconds())


def test_results_by_scanner_and_month(database: Database, clock: ManualClock) -> None:
    """Newest month first; shares, medians of reliable volumes; what is older or has no result is not there."""
    _result(database, "old", "MR1", 99.0, review=True)
    _wait_until(clock, datetime(2027, 3, 30, 12, tzinfo=UTC))
    _result(database, "a", "MR1", 4.0, review=False)
    _result(database, "b", "MR1", 10.0, review=True)
    _result(database, "c", "MR2", None, review=False)
    _result(database, "jaw", "MR2", 800.0, review=True, reliability="not_reliable")
    _wait_until(clock, datetime(2027, 4, 2, 12, tzinfo=UTC))
    _result(database, "d", "MR1", 6.0, review=True)
    inbox = Inbox(database)
    inbox.record([instance(series_uid("z"), 1, inbox.open_association("MR1", "WMHNODE", "10.0.0.7", "receiver"))])
    inbox.reject_series(series_uid("z"), "not_axial", "no")
    found = drift(database, datetime(2027, 3, 1, tzinfo=UTC), 100)
    assert found == [
        DriftLine("2027-04", "MR1", 1, 1, 6.0, 0, None),
        DriftLine("2027-03", "MR1", 2, 1, 7.0, 0, None),
        DriftLine("2027-03", "MR2", 2, 1, None, 0, None),
    ]
    assert found[1].review_share == 0.5
    assert [line.month for line in drift(database, datetime(2027, 3, 1, tzinfo=UTC), 1)] == ["2027-04"]
