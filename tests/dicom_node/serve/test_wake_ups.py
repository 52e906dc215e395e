"""Loops that wait are woken by other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.databases import sqlite_url
from support.processes import until

from db.engine import Database, open_database
from db.engine.bell import Wake
from dicom_node.serve import wake_ups
from dicom_node.serve.loop import run_until_stopped
from dicom_node.serve.wake_ups import WakeUps

_AN_HOUR = 3600.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An SQLite file that others ring beside."""
    with closing(open_database(sqlite_url(tmp_path))) as opened:
        yield opened


def _started(*bodies: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=body, daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    return threads


def _ended(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(200)
        assert not thread.is_alive()


def test_a_ring_ends_the_wait_of_the_loop_that_it_is_for(database: Database) -> None:
    """A loop that would wait an hour looks again when its work is rung, another one does not; a stop ends both."""
    stop, looks = threading.Event(), {Wake.JOBS: 0, Wake.DELIVERIES: 0}
    hearing = WakeUps(database, stop)

    def loop(what: Wake) -> Callable[[], None]:
        woken = hearing.event(what)

        def step() -> float:
            looks[what] += 1
            return _AN_HOUR

        return lambda: run_until_stopped(step, stop, woken=woken)

    threads = _started(*[loop(what) for what in looks], hearing.run)

    def looked_again() -> bool:
        database.bell.ring(Wake.JOBS)
        return looks[Wake.JOBS] > 1

    until(lambda: looks[Wake.DELIVERIES], "a first look for deliveries")
    until(looked_again, "a second look for jobs")
    assert looks[Wake.DELIVERIES] == 1
    stop.set()
    _ended(threads)


def test_what_is_rung_during_a_step_is_not_missed() -> None:
    """Work that comes while a loop looks has it look once more, in place of waiting."""
    stop, woken, looks = threading.Event(), threading.Event(), []

    def step() -> float:
        looks.append(1)
        (woken if len(looks) == 1 else stop).set()
        return 0.0 if stop.is_set() else _AN_HOUR

    _ended(_started(lambda: run_until_stopped(step, stop, woken=woken)))
    assert len(looks) == 2


def test_a_stop_is_not_slept_over() -> None:
    """A stop that comes between the loop's look at it and its step ends the wait after that step."""
    stop, woken = threading.Event(), threading.Event()

    def stopped_meanwhile() -> None:
        stop.set()
        woken.set()

    _ended(_started(lambda: run_until_stopped(lambda: _AN_HOUR, stop, stopped_meanwhile, woken)))


def test_a_database_that_cannot_be_heard_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of listening ends no role: it goes on when the database is back."""
    monkeypatch.setattr(wake_ups, "_AGAIN_SECONDS", 0.01)
    answers: list[object] = [OSError("away"), [Wake.JOBS]]
    stop = threading.Event()

    def listen(_goes_on: Callable[[], bool]) -> Iterator[Wake]:
        answer = answers.pop(0) if answers else []
        if isinstance(answer, Exception):
            raise answer
        yield from answer  # type: ignore[misc]

    monkeypatch.setattr(database.bell, "listen", listen)
    hearing = WakeUps(database, stop)
    event = hearing.event(Wake.JOBS)
    threads = _started(hearing.run)
    until(event.is_set, "woken after the failure")
    stop.set()
    _ended(threads)
