"""What is promised of PostgreSQL alone, on a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text
from support.databases import PostgresServer, postgres_server
from support.received import instance, series_uid

from db.deliveries import DeliveryTable
from db.engine import Database, open_database
from db.engine import database as engine
from db.engine.migrate import upgrade
from db.errors import DatabaseUnavailable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import NewDelivery, RecordOutcome


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """A database of the session's server."""
    with closing(open_database(postgres_url)) as opened:
        yield opened


def test_a_job_that_is_being_claimed_is_skipped(database: Database) -> None:
    """A claim does not wait for another that is under way: it takes the next job."""
    jobs = JobTable(database)
    first, second = (jobs.enqueue(series_uid(number), "a" * 64, 24) for number in (1, 2))
    with database.write() as other:
        other.execute(text(f"SELECT 1 FROM jobs WHERE id = {first.id} FOR NO KEY UPDATE"))
        claimed = jobs.claim("worker-1", 60)
        assert claimed is not None
        assert claimed.id == second.id
        assert jobs.claim("worker-1", 60) is None


def test_an_answer_that_is_claimed_while_its_job_is_retried_is_known(database: Database) -> None:
    """A claim under way when a rejected job is retried is waited for: the report that is then sent stays known."""
    jobs, deliveries = JobTable(database), DeliveryTable(database)
    job = jobs.enqueue(series_uid(1), "a" * 64, 24)
    jobs.claim("worker-1", 60)
    answers = [NewDelivery("pacs", ["sr.dcm"])]
    jobs.reject(job.id, "worker-1", "slices_missing", "A slice is missing.", answers, {"SOPInstanceUID": "1.2.3"})
    (waiting,) = deliveries.list(job.id)
    retrying = threading.Thread(target=jobs.retry, args=(job.id,))
    with database.write() as sender:
        # What `DeliveryTable.claim` does, held up just before its commit.
        sender.execute(text(f"UPDATE deliveries SET lease_owner = 'sender-1' WHERE id = {waiting.id}"))
        retrying.start()
        _wait_for_one_that_waits(database)
    retrying.join()
    assert deliveries.list(job.id) == []
    assert jobs.get(job.id).answered == {"SOPInstanceUID": "1.2.3"}


def _wait_for_one_that_waits(database: Database) -> None:
    """Until a transaction of the server waits for a lock of another."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with database.read() as looking:
            if looking.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("expected a transaction that waits for a lock, found none in 60 s")


def test_no_endless_wait(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that never lets go of a row makes an error that says so, not a hang."""
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.2)
    with closing(open_database(postgres_url)) as database:
        jobs = JobTable(database)
        job = jobs.enqueue(series_uid(1), "a" * 64, 24)
        with database.write() as other:
            other.execute(text(f"SELECT 1 FROM jobs WHERE id = {job.id} FOR UPDATE"))
            with pytest.raises(DatabaseUnavailable, match="pg_stat_activity"):
                jobs.cancel(job.id)
        assert jobs.cancel(job.id).state == "cancelled"


def test_commits_are_durable_whatever_the_server_says(postgres: PostgresServer) -> None:
    """Where the administrator has switched synchronous_commit off, our sessions switch it on."""
    url = postgres.new_database()
    with closing(open_database(url)) as opened, opened.write() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit TO off'))
    with closing(open_database(url)) as opened, opened.write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


def test_a_server_that_restarts() -> None:
    """A server that crashes loses nothing that was recorded; while it is away the error says so; then work goes on."""
    with postgres_server() as server:
        url = server.new_database()
        upgrade(url)
        with closing(open_database(url)) as database:
            inbox = Inbox(database)
            association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver-1")
            inbox.record([instance(series_uid(1), number, association) for number in range(10)])
            server.restart("immediate")
            assert inbox.record([instance(series_uid(1), 0, association)]) == [RecordOutcome.DUPLICATE]
            assert len(inbox.instances_of(series_uid(1))) == 10
            server.stop()
            with pytest.raises(DatabaseUnavailable, match="check that the server is running"):
                inbox.record([instance(series_uid(1), 11, association)])
            server.start_again()
            assert inbox.record([instance(series_uid(1), 11, association)]) == [RecordOutcome.NEW]


def test_wrong_password_and_missing_database(postgres: PostgresServer) -> None:
    """A database that is not there is an error that says what to do."""
    with (
        closing(open_database(postgres.url("nothing_here"))) as database,
        pytest.raises(DatabaseUnavailable, match="create it first"),
    ):
        JobTable(database).list()
