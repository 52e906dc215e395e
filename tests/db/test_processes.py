"""Several processes at once, and processes that are killed; on both databases."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.claiming import die_inside, enqueue_same, finish_all, record_series, record_until_killed, send_all
from support.processes import until
from support.received import series_uid

from db.engine import open_database
from db.engine.migrate import upgrade
from db.engine.schema_version import check
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import JobState

pytestmark = pytest.mark.slow

PROCESSES = 4
_spawn = multiprocessing.get_context("spawn")


def _at_once(act: Callable[..., Any], url: str, *arguments: object) -> list[Any]:
    """Run the same in several processes."""
    with ProcessPoolExecutor(PROCESSES, mp_context=_spawn) as pool:
        futures = [pool.submit(act, url, number, *arguments) for number in range(PROCESSES)]
        return [future.result(120) for future in futures]


def _killed(act: Callable[..., None], *arguments: object) -> None:
    """Run in a process that kills itself."""
    process = _spawn.Process(target=act, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


class TestProcesses:
    """What holds between processes."""

    @pytest.mark.slow
    def test_each_job_is_claimed_once(self, url: str) -> None:
        """Several workers share the queue: every job goes to exactly one, and every delivery to exactly one sender."""
        with closing(open_database(url)) as database:
            jobs = JobTable(database)
            ids = [jobs.enqueue(series_uid(number), "a" * 64, 24).id for number in range(60)]
            claimed = [item for some in _at_once(finish_all, url) for item in some]
            assert sorted(claimed) == ids
            sent = [item for some in _at_once(send_all, url) for item in some]
            assert len(sent) == len(set(sent)) == 2 * len(ids)
            assert {job.state for job in jobs.list()} == {JobState.DONE}

    def test_same_instance_from_several_receivers(self, url: str) -> None:
        """The same series from several receivers at once is one row per instance, ordinals without gaps, no error."""
        outcomes = _at_once(record_series, url, 60)
        assert sorted(item for some in outcomes for item in some) == ["duplicate"] * 60 * (PROCESSES - 1) + ["new"] * 60
        with closing(open_database(url)) as database:
            inbox = Inbox(database)
            assert [instance.ordinal for instance in inbox.instances_of(series_uid(1))] == list(range(1, 61))
            (activity,) = inbox.open_series()
            assert (activity.instance_count, activity.open_associations) == (60, PROCESSES)

    def test_several_completers(self, url: str) -> None:
        """Several processes that find the same series complete make one job."""
        assert len(set(_at_once(enqueue_same, url))) == 1

    def test_upgrade_at_once(self, empty_url: str) -> None:
        """Several processes that start on a new database and upgrade it do not disturb each other."""
        assert all(status.is_current for status in _at_once(_upgrade, empty_url))
        assert check(empty_url).is_current


class TestKilled:
    """Kill -9 at bad moments."""

    def test_in_the_middle_of_a_claim(self, url: str) -> None:
        """A worker that is killed before its claim is durable has taken nothing."""
        with closing(open_database(url)) as database:
            jobs = JobTable(database)
            queued = jobs.enqueue(series_uid(1), "a" * 64, 24)
            _killed(die_inside, url, "claim")
            assert jobs.get(queued.id) == queued
            assert [event.what for event in jobs.events(queued.id)] == ["queued"]
            assert until(lambda: jobs.claim("worker-2", 60), "claim after the kill", 20)

    def test_in_the_middle_of_handing_in(self, url: str) -> None:
        """A worker that is killed while it hands in a result leaves no half: the job runs again when its lease ends."""
        # Ahead of the clock, not a fixed time: on a busy machine the victim itself may start seconds later.
        ahead = lambda: datetime.now(UTC) + timedelta(seconds=61)  # noqa: E731
        with closing(open_database(url)) as database, closing(open_database(url, ahead)) as after_the_lease:
            jobs = JobTable(database)
            job = jobs.enqueue(series_uid(1), "a" * 64, 24)
            _killed(die_inside, url, "deliver")
            left = jobs.get(job.id)
            assert (left.state, left.lease_owner, left.measurements) == (JobState.RUNNING, "victim", None)
            assert jobs.claim("worker-2", 60) is None
            # A moment passes until the PostgreSQL server notices that its client is gone, and lets go of the row.
            taken = until(lambda: JobTable(after_the_lease).claim("worker-2", 60), "claim after the lease ran out", 20)
            assert taken.attempts == 2

    def test_what_was_answered_for_is_there(self, url: str, tmp_path: Path) -> None:
        """A receiver that is killed loses nothing that it had answered for, and its successor goes on."""
        answered = tmp_path / "answered"
        process = _spawn.Process(target=record_until_killed, args=(url, str(answered)))
        process.start()
        deadline = time.monotonic() + 60
        while not answered.exists() or len(answered.read_bytes().splitlines()) < 25:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        told = len(answered.read_bytes().splitlines())
        with closing(open_database(url)) as database:
            inbox = Inbox(database)
            stored = inbox.instances_of(series_uid(1))
            assert told <= len(stored) <= told + 1  # one may be durable and not yet answered for
            assert inbox.end_orphans("receiver-1", {}) == 1
            (activity,) = inbox.open_series()
            assert activity.instance_count == len(stored)


def _upgrade(url: str, _: int) -> Any:
    return upgrade(url)


@pytest.fixture(autouse=True)
def _children_find_the_support_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes import `support` and this module as we do."""
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(root / "tests")]))
