"""The loop of every role."""

from __future__ import annotations

import errno
import threading

import pytest

from db.errors import DatabaseUnavailable, SchemaOutOfDate
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.serve import loop
from dicom_node.serve.loop import run_until_stopped, waiting_for_room


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart of the database does not end a role: it goes on when the database is back."""
    monkeypatch.setattr(loop, "_UNAVAILABLE_SECONDS", 0.01)
    stop = threading.Event()
    answers = iter([DatabaseUnavailable("away"), DatabaseUnavailable("away"), 0.0])

    def step() -> float:
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            stop.set()
        return 0.0

    run_until_stopped(step, stop)
    assert next(answers, None) is None


def test_a_full_disk_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that starts on a full disk waits as one that runs does, and begins once there is room; other errors of
    the disk end it."""
    monkeypatch.setattr(loop, "_FULL_SECONDS", 0.01)
    answers = iter([OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota"), None, OSError(errno.EIO, "broken")])

    def work() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    stop = threading.Event()
    waiting_for_room(work, stop)()
    with pytest.raises(OSError, match="broken"):
        waiting_for_room(work, stop)()
    stop.set()
    waiting_for_room(work, stop)()


def test_another_error_ends_the_role() -> None:
    """What waiting cannot mend is not hidden in a loop."""

    def step() -> float:
        raise SchemaOutOfDate("old")

    with pytest.raises(SchemaOutOfDate):
        run_until_stopped(step, threading.Event())


def test_a_heartbeat_outlives_a_database_that_is_away() -> None:
    """The lease is renewed as soon as the database answers again."""
    again = threading.Event()
    answers = iter([DatabaseUnavailable("away"), True])

    def beat() -> bool:
        answer = next(answers, True)
        if isinstance(answer, Exception):
            raise answer
        again.set()
        return True

    with Heartbeat(beat, 0.01) as heartbeat:
        assert again.wait(10)
        assert not heartbeat.lost
