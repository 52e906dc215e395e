"""A role that makes itself known, to a real database and a real socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.databases import sqlite_url, with_schema
from support.processes import until

from db.engine import Database, open_database
from db.roles import RoleTable
from dicom_node.node.liveness import Liveness
from dicom_node.serve.presence import Presence


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = sqlite_url(tmp_path)
    with_schema(url)
    with closing(open_database(url)) as opened:
        yield opened


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Gives the next report to the service manager, which wants to hear of us every 0.3 s."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(20)
        listening.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        yield lambda: listening.recv(100).decode()


def test_a_role_is_known_while_it_runs_and_not_after(database: Database) -> None:
    """Its heartbeat names role, model and trouble; when it stops in order it is gone at once."""
    table, liveness = RoleTable(database), Liveness()
    liveness.report_model("ab" * 32)
    with Presence("work", table, liveness, beat_seconds=0.05):
        until(lambda: [presence.model_digest for presence in table.list(60)] == ["ab" * 32], "a heartbeat")
        liveness.loop("analysis", -1)
        until(lambda: "analysis has not moved" in str(table.list(60)[0].trouble), "the trouble in a heartbeat")
    assert table.list(60) == []


def test_the_service_manager_hears_ready_alive_and_stopping(database: Database, reports: Callable[[], str]) -> None:
    """READY comes once the role says so, then WATCHDOG while its loops move, and STOPPING at the end."""
    liveness = Liveness()
    with Presence("deliver", RoleTable(database), liveness):
        liveness.report_ready()
        assert [reports(), reports(), reports()] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    heard = [reports()]
    while heard[-1] != "STOPPING=1":
        heard.append(reports())
    assert set(heard[:-1]) <= {"WATCHDOG=1"}


def test_a_role_that_is_stuck_falls_silent(database: Database, reports: Callable[[], str]) -> None:
    """Once a loop is stuck the service manager hears no WATCHDOG, so that it ends the role and starts it again."""
    liveness = Liveness()
    liveness.loop("analysis", -1)
    liveness.report_ready()
    with Presence("work", RoleTable(database), liveness):
        assert reports() == "READY=1"
        time.sleep(1)  # three times the time after which systemd acts
    assert reports() == "STOPPING=1"


def test_a_role_lives_without_its_database(tmp_path: Path, reports: Callable[[], str]) -> None:
    """A database that cannot be reached keeps no role from being ready and alive."""
    liveness = Liveness()
    liveness.report_ready()
    unreachable = f"sqlite:///{tmp_path}/missing/node.sqlite"
    with closing(open_database(unreachable)) as database, Presence("receive", RoleTable(database), liveness):
        assert [reports(), reports()] == ["READY=1", "WATCHDOG=1"]
