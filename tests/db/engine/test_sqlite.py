"""What is promised of SQLite alone."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.databases import sqlite_url
from support.received import instance, series_uid

from db.engine import Database, open_database
from db.engine import database as engine
from db.errors import DatabaseUnavailable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import RecordOutcome


@pytest.fixture
def file(tmp_path: Path, sqlite_template: Path) -> Path:
    """A database file with the current schema."""
    path = Path(sqlite_url(tmp_path).removeprefix("sqlite:///"))
    shutil.copyfile(sqlite_template, path)
    return path


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    """That file, open."""
    with closing(open_database(f"sqlite:///{file}")) as opened:
        yield opened


@pytest.mark.parametrize("kind", ["read", "write"])
def test_durable_settings(database: Database, kind: str) -> None:
    """Every connection is in WAL mode, syncs every commit in full and checks foreign keys."""
    with database.read() if kind == "read" else database.write() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


def test_readers_do_not_wait_for_a_writer(database: Database, file: Path) -> None:
    """While one process writes, looking at jobs and an idle worker's claim go on."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert JobTable(database).list() == []
        assert JobTable(database).claim("worker-1", 60) is None


def test_a_writer_waits_for_another(database: Database, file: Path) -> None:
    """A receiver that meets a foreign writer waits until it is done; nothing is lost and nothing fails."""
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver-1")
    outcomes: list[RecordOutcome] = []
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recording = threading.Thread(
            target=lambda: outcomes.extend(inbox.record([instance(series_uid(1), 1, association)]))
        )
        recording.start()
        time.sleep(0.3)
        assert outcomes == []
        other.execute("COMMIT")
        recording.join(10)
    assert outcomes == [RecordOutcome.NEW]


def test_locked_for_long(database: Database, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another program never lets go, the error says so and what to do; afterwards work goes on."""
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.1)
    jobs = JobTable(database)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="another program has locked it"):
                jobs.enqueue(series_uid(1), "a" * 64, 24)
        other.execute("ROLLBACK")
    assert jobs.enqueue(series_uid(1), "a" * 64, 24).id == 1


def test_threads_share_a_database(database: Database) -> None:
    """Threads of one process record at once: no error, one row each."""
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver-1")
    batches = [[instance(series_uid(number % 3), number, association)] for number in range(40)]
    threads = [threading.Thread(target=inbox.record, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(activity.instance_count for activity in inbox.open_series()) == 40


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A database in a missing folder is an error that says what to check."""
    with (
        closing(open_database(f"sqlite:///{tmp_path}/missing/node.sqlite")) as database,
        pytest.raises(DatabaseUnavailable, match="check that the folder exists"),
    ):
        JobTable(database).list()


def test_another_file(tmp_path: Path) -> None:
    """A file that is no database is an error that says so, and the file stays as it is."""
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-1.4 no database at all" * 100)
    before = file.read_bytes()
    with (
        closing(open_database(f"sqlite:///{file}")) as database,
        pytest.raises(DatabaseUnavailable, match="check the path"),
    ):
        JobTable(database).list()
    assert file.read_bytes() == before


def test_job_numbers_are_not_used_again(database: Database) -> None:
    """A job's number names its outbox folder, so it is never given again, not even after a row was deleted by hand."""
    jobs = JobTable(database)
    first = jobs.enqueue(series_uid(1), "a" * 64, 24)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM job_events")
        connection.exec_driver_sql("DELETE FROM jobs")
    assert jobs.enqueue(series_uid(2), "a" * 64, 24).id > first.id


def test_disk_full(database: Database) -> None:
    """A full disk is an error that says so, nothing of the batch is recorded; with space again, work goes on."""
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver-1")
    with database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    batch = [instance(series_uid(1), number, association) for number in range(500)]
    with pytest.raises(DatabaseUnavailable, match="free some space"):
        inbox.record(batch)
    assert inbox.open_series() == []
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert inbox.record(batch) == [RecordOutcome.NEW] * 500
