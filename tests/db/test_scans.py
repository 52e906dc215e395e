"""Scans and the choice of what one is compared with, on both databases."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from db.engine import Database
from db.errors import InvalidMeasurements
from db.jobs import JobTable
from db.records import NewDelivery, Scan
from db.scans import ScanTable

REPORT = {"SOPInstanceUID": "1.2.3"}


def scan_of(database: Database, number: int, day: date, **changes: Any) -> Scan:
    """The scan of a queued job about series and study `number`."""
    job = JobTable(database).enqueue(f"1.2.{number}", "a" * 64, 24)
    values = {
        "study_instance_uid": f"1.9.{number}", "patient_key": "p" * 64, "birth_key": "b" * 64, "acquired_on": day,
        "description": {"model": "Prisma"},
    }  # fmt: skip
    return Scan(job_id=job.id, **{**values, **changes})


def analysed(database: Database, number: int, day: date, **changes: Any) -> Scan:
    """The same, chosen for and with a result."""
    scan = scan_of(database, number, day, **changes)
    finish(database, scan)
    return scan


def finish(database: Database, scan: Scan, report: dict[str, str] | None = REPORT) -> None:
    """Give the scan's job a result; jobs are claimed in order, so that it must be the next."""
    ScanTable(database).choose(scan, None)
    jobs = JobTable(database)
    job = jobs.claim("worker", 60)
    assert job is not None and job.id == scan.job_id
    jobs.deliver(job.id, "worker", {"wmh_volume_ml": float(scan.job_id)}, [NewDelivery("pacs", ["x"])], report)


def found(database: Database, scan: Scan) -> list[int]:
    """Jobs of the earlier results."""
    return [result.scan.job_id for result in ScanTable(database).earlier_results(scan)]


class TestEarlierResults:
    """Who is found."""

    def test_newest_day_first_whatever_order_they_came_in(self, database: Database) -> None:
        """What counts is the day of acquisition, not of arrival; a later day and the same day are not earlier."""
        late = analysed(database, 1, date(2025, 6, 1))
        early = analysed(database, 2, date(2023, 6, 1))
        middle = analysed(database, 3, date(2024, 6, 1))
        assert found(database, late) == [middle.job_id, early.job_id]
        assert found(database, middle) == [early.job_id]
        assert found(database, early) == []
        assert found(database, scan_of(database, 4, date(2024, 6, 1))) == [early.job_id]

    def test_only_the_same_patient_in_another_study(self, database: Database) -> None:
        """Another patient's scans and other series of the same study are not compared with."""
        analysed(database, 1, date(2023, 6, 1), patient_key="q" * 64)
        analysed(database, 2, date(2023, 6, 1), study_instance_uid="1.9.3")
        assert found(database, scan_of(database, 3, date(2024, 6, 1))) == []

    def test_only_what_has_a_result(self, database: Database) -> None:
        """A job that is queued, rejected or cancelled has nothing to compare with, whatever its scan says."""
        jobs, scans = JobTable(database), ScanTable(database)
        rejected = scan_of(database, 1, date(2023, 6, 1))
        scans.choose(rejected, None)
        assert jobs.claim("worker", 60) is not None
        jobs.reject(rejected.job_id, "worker", "slices_missing", "A slice is missing.")
        cancelled = analysed(database, 2, date(2023, 6, 1))
        jobs.cancel(cancelled.job_id)
        scans.choose(scan_of(database, 3, date(2023, 6, 1)), None)
        assert found(database, scan_of(database, 4, date(2024, 6, 1))) == []

    def test_the_result_comes_with_the_scan(self, database: Database) -> None:
        """What was measured, the report's UIDs, and everything that was entered."""
        earlier = analysed(database, 1, date(2023, 6, 1), birth_key=None)
        (result,) = ScanTable(database).earlier_results(scan_of(database, 2, date(2024, 6, 1)))
        assert result.scan == earlier
        assert (result.measurements, result.report) == ({"wmh_volume_ml": 1.0}, REPORT)


class TestChoice:
    """The choice stays."""

    def test_the_first_choice_counts(self, database: Database) -> None:
        """Another attempt cannot choose otherwise, whatever was analysed meanwhile."""
        scans = ScanTable(database)
        first = analysed(database, 1, date(2022, 6, 1))
        now = scan_of(database, 2, date(2024, 6, 1))
        assert scans.chosen(now.job_id) == (False, None)
        kept = scans.choose(now, first.job_id)
        assert kept is not None and kept.scan == first
        finish(database, now)
        second = analysed(database, 3, date(2023, 6, 1))
        again = scans.choose(now, second.job_id)
        assert again is not None and again.scan == first
        assert scans.chosen(now.job_id) == (True, kept)

    def test_none_is_a_choice_too(self, database: Database) -> None:
        """A job that had nothing to compare with stays so."""
        scans = ScanTable(database)
        now = analysed(database, 1, date(2024, 6, 1))
        earlier = analysed(database, 2, date(2023, 6, 1))
        assert scans.choose(now, earlier.job_id) is None
        assert scans.chosen(now.job_id) == (True, None)

    def test_a_description_is_json(self, database: Database) -> None:
        """NaN is refused on both databases, and nothing is written."""
        now = scan_of(database, 1, date(2024, 6, 1), description={"echo_ms": float("nan")})
        with pytest.raises(InvalidMeasurements, match="description of the scan"):
            ScanTable(database).choose(now, None)
        assert ScanTable(database).chosen(now.job_id) == (False, None)
