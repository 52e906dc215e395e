"""Which earlier result is compared with, and what is warned of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.databases import PostgresServer, postgres_server, sqlite_url, with_schema
from support.result_cases import CASES, MODEL, series_of

from db.engine import Database, open_database
from db.jobs import JobTable
from db.records import Job, MeasuredScan, NewDelivery, Scan
from db.scans import ScanTable
from dicom_node.analyse.follow_up.acquisition import Acquisition
from dicom_node.analyse.follow_up.finder import OTHER_BIRTH_DATE, FollowUps, choose, follow_up_of, visits_of
from dicom_node.analyse.follow_up.patient_key import PatientHasher
from dicom_node.results.common.comparison import EarlierResult, NoEarlierScan, NotCompared
from dicom_node.series.read.flair_series import FlairSeries
from segmentation.bundle import ModelIdentity

PRISMA = Acquisition("SIEMENS", "Prisma", 3.0, 92.0, 9000.0, 2500.0, (5.0, 0.9, 0.9), 4.0, "2D")
REPORT = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPClassUID": "1.3", "SOPInstanceUID": "1.4"}
MEASURED = {
    "wmh_volume_ml": 10.0, "volume_interval_ml": [7.0, 14.0], "flags": [],
    "model": {"name": MODEL.name, "version": MODEL.version, "digest": MODEL.digest},
}  # fmt: skip


def scan(job_id: int, day: date, how: Acquisition = PRISMA, birth_key: str | None = "b") -> Scan:
    return Scan(job_id, f"1.9.{job_id}", "p", birth_key, day, how.as_json)


def result(job_id: int, day: date, how: Acquisition = PRISMA, birth_key: str | None = "b", **more: Any) -> MeasuredScan:
    return MeasuredScan(scan(job_id, day, how, birth_key), {**MEASURED, **more}, REPORT)


NOW = scan(9, date(2025, 3, 1))


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of these tests."""
    with postgres_server() as server:
        yield server


class TestChoice:
    """One of several."""

    def test_the_newest_day_then_the_most_alike_then_the_newest_job(self) -> None:
        """Of one day the series with the same protocol, although another is newer."""
        other = replace(PRISMA, echo_ms=120.0)
        earlier = [
            result(5, date(2024, 3, 1), other),
            result(4, date(2024, 3, 1)),
            result(3, date(2024, 3, 1)),
            result(2, date(2023, 3, 1)),
        ]
        assert choose(NOW, earlier) == earlier[1]
        assert choose(NOW, []) is None

    def test_another_date_of_birth_comes_last(self) -> None:
        """An older result of surely the same person is better than a newer one of perhaps another."""
        other, same, unknown = (
            result(3, date(2024, 3, 1), birth_key="c"),
            result(2, date(2023, 3, 1)),
            result(1, date(2022, 3, 1), birth_key=None),
        )
        assert choose(NOW, [other, same, unknown]) == same
        assert choose(NOW, [other, unknown]) == unknown
        assert choose(NOW, [other]) == other
        assert choose(replace(NOW, birth_key=None), [other, same]) == other

    def test_a_result_without_an_interval_cannot_be_compared(self) -> None:
        """What an older version measured is passed over."""
        assert choose(NOW, [result(1, date(2024, 3, 1), volume_interval_ml=None)]) is None


class TestWarnings:
    """What differs beside the brain."""

    def warnings(self, earlier: MeasuredScan, model: ModelIdentity = MODEL) -> tuple[str, ...]:
        found = follow_up_of(NOW, earlier, model)
        assert isinstance(found, EarlierResult)
        assert (found.volume_ml, [*found.interval_ml]) == (10.0, [7.0, 14.0])
        assert (found.acquired_on, found.now_acquired_on) == (date(2024, 3, 1), date(2025, 3, 1))
        return found.warnings

    def test_alike_scans_give_none(self) -> None:
        """Same scanner, protocol and model: nothing to warn of."""
        assert self.warnings(result(1, date(2024, 3, 1))) == ()

    def test_scanner_protocol_model_and_coverage_are_warned_of(self) -> None:
        """Each in a sentence that names both sides."""
        how = replace(PRISMA, model="Skyra", field_strength_t=1.5, echo_ms=120.0)
        found = self.warnings(
            result(1, date(2024, 3, 1), how, flags=["short_coverage"]),
            replace(MODEL, version="0.2.0", digest="6c" * 32),
        )
        other_model, other_scanner, other_protocol, part = found
        assert f"{MODEL.name} 0.2.0 now, {MODEL.name} 0.1.0 for the earlier scan" in other_model
        assert "SIEMENS Prisma, 3 T now, SIEMENS Skyra, 1.5 T for the earlier scan" in other_scanner
        assert "echo time 92 ms, earlier 120 ms" in other_protocol
        assert "may not have covered the whole brain" in part
        assert all(text.isascii() for text in found)

    def test_another_scanner_of_the_same_model_is_warned_of(self) -> None:
        """Serial numbers decide, not only models; a scan that gives none is not warned of."""
        now = scan(9, date(2025, 3, 1), replace(PRISMA, serial_key="a"))
        earlier = result(1, date(2024, 3, 1), replace(PRISMA, serial_key="b"))
        found = follow_up_of(now, earlier, MODEL)
        assert isinstance(found, EarlierResult)
        (warning,) = found.warnings
        assert warning.startswith("Another scanner of the same model: SIEMENS Prisma, 3 T, another serial number")
        unknown = follow_up_of(now, result(1, date(2024, 3, 1)), MODEL)
        assert isinstance(unknown, EarlierResult) and unknown.warnings == ()

    def test_of_one_day_the_same_scanner_is_more_alike(self) -> None:
        """Of two scans by one protocol, the one of the same scanner."""
        now = scan(9, date(2025, 3, 1), replace(PRISMA, serial_key="a"))
        other = result(2, date(2024, 3, 1), replace(PRISMA, serial_key="b"))
        same = result(1, date(2024, 3, 1), replace(PRISMA, serial_key="a"))
        assert choose(now, [other, same]) == same

    def test_the_size_of_the_earlier_frames_is_reported(self) -> None:
        """The form of the earlier report depends on it; None where a version did not keep it."""
        for size in ((47, 41), None):
            found = follow_up_of(NOW, result(1, date(2024, 3, 1), replace(PRISMA, size=size)), MODEL)
            assert isinstance(found, EarlierResult) and found.size == size

    def test_another_date_of_birth_is_not_compared(self) -> None:
        """The reader is asked to look at the identity, and gets no numbers of perhaps another person."""
        found = follow_up_of(NOW, result(1, date(2024, 3, 1), birth_key="c"), MODEL)
        assert isinstance(found, NotCompared)
        assert found.reason == OTHER_BIRTH_DATE


class TestVisits:
    """What the plot of all visits shows."""

    def test_a_day_once_oldest_first_and_none_of_another_person(self) -> None:
        """Days in order, each once, only of the same date of birth and with a volume."""
        earlier = [
            result(5, date(2024, 9, 1)),
            result(4, date(2024, 3, 1), birth_key="c"),
            result(3, date(2023, 3, 1), wmh_volume_ml=11.0),
            result(2, date(2023, 3, 1)),
            result(1, date(2022, 3, 1), volume_interval_ml=None),
        ]
        found = visits_of(NOW, earlier[0], earlier)
        assert [visit.acquired_on for visit in found] == [date(2023, 3, 1), date(2024, 9, 1)]

    def test_what_arrives_after_the_present_scan_does_not_change_its_plot(self) -> None:
        """A second attempt shows the same visits, although another was received meanwhile; the chosen one is shown."""
        late, chosen = result(10, date(2023, 9, 1)), result(11, date(2024, 9, 1))
        found = visits_of(NOW, chosen, [chosen, late, result(3, date(2023, 3, 1))])
        assert [visit.acquired_on for visit in found] == [date(2023, 3, 1), date(2024, 9, 1)]


class TestFollowUps:
    """From the headers of a series to what its result is compared with, on both databases."""

    @pytest.fixture(params=["sqlite", "postgresql"])
    def home(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
        """URL of an empty database, and where its files lie."""
        if request.param == "sqlite":
            return sqlite_url(tmp_path), tmp_path
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database(), server.data

    @pytest.fixture
    def database(self, home: tuple[str, Path]) -> Iterator[Database]:
        url, _ = home
        with_schema(url)
        with closing(open_database(url)) as opened:
            yield opened

    def series(self, folder: Path, day: str, study: str, **elements: str) -> FlairSeries:
        series = series_of(CASES[0], folder)
        for header in series.headers:
            header.AcquisitionDate = header.AcquisitionDateTime = day
            for keyword, value in {"PatientID": "SECRET-12", "PatientBirthDate": "19500102", **elements}.items():
                setattr(header, keyword, value)
        return replace(series, study_instance_uid=study)

    def finish(self, database: Database, job: Job) -> None:
        claimed = JobTable(database).claim("worker", 60)
        assert claimed is not None and claimed.id == job.id
        JobTable(database).deliver(job.id, "worker", MEASURED, [NewDelivery("pacs", ["x"])], REPORT)

    def test_a_second_attempt_finds_what_the_first_found(self, database: Database, tmp_path: Path) -> None:
        """Another worker, later, with more results in the table, compares with the same one."""
        finder = FollowUps(ScanTable(database), PatientHasher(b"k" * 32))
        jobs = [JobTable(database).enqueue(f"1.2.{number}", "a" * 64, 24) for number in range(3)]
        first = self.series(tmp_path / "1", "20230301", "1.9.1")
        now = self.series(tmp_path / "2", "20250301", "1.9.2")
        between = self.series(tmp_path / "3", "20240301", "1.9.3")
        assert finder.find(jobs[0], first, MODEL) == NoEarlierScan("none_known")
        self.finish(database, jobs[0])
        found = finder.find(jobs[1], now, MODEL)
        assert isinstance(found, EarlierResult) and found.acquired_on == date(2023, 3, 1)
        assert JobTable(database).claim("dies", 60) is not None
        found_between = finder.find(jobs[2], between, MODEL)
        assert isinstance(found_between, EarlierResult)
        self.finish(database, jobs[2])
        assert FollowUps(ScanTable(database), PatientHasher(b"k" * 32)).find(jobs[1], now, MODEL) == found

    def test_no_identifier_no_follow_up(self, database: Database, tmp_path: Path) -> None:
        """Nothing is entered of a patient without an identifier or a scan without a date; the result says which."""
        finder = FollowUps(ScanTable(database), PatientHasher(b"k" * 32))
        job = JobTable(database).enqueue("1.2.1", "a" * 64, 24)
        undated = {"SeriesDate": "", "StudyDate": ""}
        unknown = self.series(tmp_path / "1", "20230301", "1.9.1", PatientID="")
        assert finder.find(job, unknown, MODEL) == NoEarlierScan("no_patient_identifier")
        assert finder.find(job, self.series(tmp_path / "2", "", "1.9.1", **undated), MODEL) == NoEarlierScan("no_date")
        assert ScanTable(database).chosen(job.id) == (False, None)

    def test_scanners_are_known_by_keyed_hashes(self, database: Database, tmp_path: Path) -> None:
        """The later scan of another serial number is warned of; no serial number is in the database."""
        finder = FollowUps(ScanTable(database), PatientHasher(b"k" * 32))
        jobs = [JobTable(database).enqueue(f"1.2.{number}", "a" * 64, 24) for number in range(2)]
        first = self.series(tmp_path / "1", "20230301", "1.9.1", DeviceSerialNumber="SER-4711")
        finder.find(jobs[0], first, MODEL)
        self.finish(database, jobs[0])
        now = self.series(tmp_path / "2", "20250301", "1.9.2", DeviceSerialNumber="SER-4712")
        found = finder.find(jobs[1], now, MODEL)
        assert isinstance(found, EarlierResult) and found.size == first.voxels.shape[1:]
        assert [text for text in found.warnings if "serial number" in text]
        with database.read() as connection:
            assert "SER-47" not in str(connection.exec_driver_sql("SELECT * FROM scans").fetchall())

    def test_nothing_of_the_patient_is_in_the_database(
        self, database: Database, home: tuple[str, Path], tmp_path: Path
    ) -> None:
        """Neither identifier nor date of birth, as bytes of the files, PostgreSQL's log of changes too."""
        finder = FollowUps(ScanTable(database), PatientHasher(b"k" * 32))
        job = JobTable(database).enqueue("1.2.1", "a" * 64, 24)
        finder.find(job, self.series(tmp_path / "series" / "1", "20230301", "1.9.1"), MODEL)
        assert ScanTable(database).chosen(job.id) == (True, None)
        database.close()
        _, folder = home
        files = [file for file in folder.rglob("*") if file.is_file() and tmp_path / "series" not in file.parents]
        content = b"".join(file.read_bytes() for file in files)
        assert b"1.9.1" in content
        assert b"SECRET-12" not in content and b"19500102" not in content and b"1950-01-02" not in content
