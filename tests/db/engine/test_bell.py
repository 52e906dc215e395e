"""The bell: who waits for work hears of it, and nothing depends on it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from support.databases import sqlite_url
from support.processes import free_port, until
from support.received import series_uid

from db.engine import Database, open_database
from db.engine.bell import Wake
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import AssociationEnd, NewDelivery

_LISTENER = """
import sys
from db.engine import open_database
for what in open_database(sys.argv[1]).bell.listen(lambda: True):
    print(what, flush=True)
"""


@contextmanager
def _listening(url: str) -> Iterator[list[Wake]]:
    """What another process would hear meanwhile; it listens already."""
    heard: list[Wake] = []
    ended = threading.Event()

    def collect(database: Database) -> None:
        for what in database.bell.listen(lambda: not ended.is_set()):
            heard.append(what)

    with closing(open_database(url)) as there, closing(open_database(url)) as other:
        thread = threading.Thread(target=collect, args=(there,))
        thread.start()
        try:
            _ring_until_heard(other, heard, Wake.SERIES)
            other.bell.ring(Wake.JOBS)
            until(lambda: Wake.JOBS in heard, "all heard that was rung before")
            heard.clear()
            yield heard
        finally:
            ended.set()
            thread.join(60)
            assert not thread.is_alive()


def _ring_until_heard(database: Database, heard: list[Wake], what: Wake) -> None:
    def is_heard() -> bool:
        database.bell.ring(what)
        return what in heard

    until(is_heard, f"{what} heard")


def test_each_step_of_the_way_rings_for_the_next(database: Database, url: str) -> None:
    """The end of an association wakes the completer, a job the worker, a result the deliverer."""
    inbox, jobs = Inbox(database), JobTable(database)
    with _listening(url) as heard:
        inbox.end_association(inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "x"), AssociationEnd.RELEASED)
        until(lambda: Wake.SERIES in heard, "the completer woken")
        job = jobs.enqueue(series_uid("1"), "d" * 64, 24)
        until(lambda: Wake.JOBS in heard, "the worker woken")
        assert jobs.claim("worker", 60) is not None
        jobs.deliver(job.id, "worker", {}, [NewDelivery("pacs", ["outbox/1/seg.dcm"])])
        until(lambda: Wake.DELIVERIES in heard, "the deliverer woken")


def test_what_is_undone_rings_for_no_one(database: Database, url: str) -> None:
    """A transaction that fails wakes no listener."""
    with _listening(url) as heard:
        with pytest.raises(ZeroDivisionError), database.write(Wake.JOBS):
            raise ZeroDivisionError
        _ring_until_heard(database, heard, Wake.DELIVERIES)
        assert Wake.JOBS not in heard


def test_a_killed_listener_leaves_nothing_behind(tmp_path: Path) -> None:
    """The pipe of a listener that was killed goes with the next ring, and the others go on hearing."""
    url = sqlite_url(tmp_path)
    folder = Path(f"{url.removeprefix('sqlite:///')}-wake")
    listener = subprocess.Popen([sys.executable, "-c", _LISTENER, url], stdout=subprocess.PIPE, text=True)
    assert listener.stdout is not None
    with closing(open_database(url)) as database, _listening(url) as heard:
        try:
            until(lambda: len(list(folder.glob("*.pipe"))) == 2, "both listen")
            database.bell.ring(Wake.JOBS)
            assert any(line.strip() == "jobs" for line in listener.stdout)  # blocks until it is heard
        finally:
            listener.kill()
            listener.communicate()
        heard.clear()
        _ring_until_heard(database, heard, Wake.DELIVERIES)
        assert len(list(folder.glob("*.pipe"))) == 1
    assert list(folder.iterdir()) == []


def test_a_ring_that_cannot_be_written_takes_no_listener_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a free descriptor loses its ring; the listener's pipe stays, and hears the next one."""
    url = sqlite_url(tmp_path)

    def full(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with closing(open_database(url)) as database, _listening(url) as heard:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", full)
            database.bell.ring(Wake.JOBS)
        _ring_until_heard(database, heard, Wake.DELIVERIES)
        assert Wake.JOBS not in heard


def test_a_listener_that_cannot_open_its_pipe_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again every few seconds, perhaps for days."""
    url = sqlite_url(tmp_path)

    def full(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with closing(open_database(url)) as database, monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            list(database.bell.listen(lambda: True))
    assert list(Path(f"{url.removeprefix('sqlite:///')}-wake").iterdir()) == []


def test_what_is_no_pipe_is_not_written_to(tmp_path: Path) -> None:
    """A file or a link of a pipe's name, whoever put it there, keeps its content."""
    url = sqlite_url(tmp_path)
    folder = Path(f"{url.removeprefix('sqlite:///')}-wake")
    mine = tmp_path / "mine"
    mine.write_text("as it was")
    with closing(open_database(url)) as database, _listening(url) as heard:
        (folder / "link.pipe").symlink_to(mine)
        (folder / "file.pipe").write_text("as it was")
        _ring_until_heard(database, heard, Wake.DELIVERIES)
        assert mine.read_text() == (folder / "file.pipe").read_text() == "as it was"


def test_a_bell_that_no_one_hears(tmp_path: Path) -> None:
    """Without a listener, and without a database, a ring is lost and nothing else happens."""
    for url in (sqlite_url(tmp_path), f"postgresql://x@127.0.0.1:{free_port()}/none"):
        with closing(open_database(url)) as database:
            database.bell.ring(Wake.JOBS)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ends_the_connection_is_said(postgres_url: str) -> None:
    """A listener whose server goes gets an error that `listen` names, which `WakeUps` waits out; no role ends of it."""
    end_listeners = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND left(query, 6) = 'LISTEN'"
    )
    with closing(open_database(postgres_url)) as there, closing(open_database(postgres_url)) as other:

        def goes_on() -> bool:
            with other.read() as connection:
                connection.execute(end_listeners)
            return True

        with pytest.raises(OSError, match="ended the connection"):
            list(there.bell.listen(goes_on))


def test_rings_of_a_newer_version_are_passed_over(tmp_path: Path) -> None:
    """A word that this version does not know wakes no role and ends no listener."""
    url = sqlite_url(tmp_path)
    with closing(open_database(url)) as database, _listening(url) as heard:
        (pipe,) = Path(f"{url.removeprefix('sqlite:///')}-wake").glob("*.pipe")
        pipe.write_text("something-new\n")
        _ring_until_heard(database, heard, Wake.DELIVERIES)
        assert heard[0] is Wake.DELIVERIES
