"""Whether the node is well, asked of a real database and a real folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.clock import ManualClock
from support.databases import with_schema
from support.received import instance, series_uid

from db.engine import Database, open_database
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import NewDelivery, ReviewVerdict
from db.reviews import ReviewTable
from db.roles import RoleTable
from dicom_node.node.settings import Settings, load_settings
from dicom_node.serve.checks import Level, NodeState, look_at_node

ROLES = ("receive", "work", "deliver")


class Fixture:
    """A node's folder and database on a clock that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.settings = self.with_settings()
        with_schema(self.settings.database_url)
        self.database = open_database(self.settings.database_url, self.clock)
        self.roles = RoleTable(self.database)
        self.jobs = JobTable(self.database)

    def with_settings(self, **more: Any) -> Settings:
        return load_settings(None, storage=self.folder, destinations="pacs=PACS@10.0.0.5:104", **more)

    def start_roles(self, *names: str) -> dict[str, str]:
        started = {name: self.roles.start(name, "node1", 7, "0.2.0") for name in names}
        if "work" in started:
            self.roles.beat(started["work"], model_digest="ab" * 32)
        return started

    def look(self, settings: Settings | None = None) -> NodeState:
        def open_here(url: str) -> Database:
            return open_database(url, self.clock)

        return look_at_node(settings or self.settings, open_here)

    def found(self, name: str, settings: Settings | None = None) -> tuple[Level, str]:
        (check,) = [check for check in self.look(settings).checks if check.name == name]
        return check.level, check.words


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fixture]:
    monkeypatch.setattr("dicom_node.serve.checks._LOW_BYTES", 0)  # how full the disk of this machine is, is not ours
    fixture = Fixture(tmp_path)
    with closing(fixture.database):
        yield fixture


def test_a_node_whose_roles_run_is_well(node: Fixture) -> None:
    """With every role alive and nothing waiting, all checks are well."""
    node.start_roles(*ROLES)
    state = node.look()
    assert state.level is Level.OK, state.checks
    assert [role.role for role in state.roles] == sorted(ROLES)


def test_a_role_that_is_silent_is_critical_and_names_its_command(node: Fixture) -> None:
    """A worker that was killed makes the node critical after a minute, and the words say how to start it."""
    node.start_roles(*ROLES)
    node.clock.pass_seconds(61)
    node.start_roles("receive", "deliver")
    level, words = node.found("work")
    assert level is Level.CRITICAL
    assert "systemctl start wmh-node-work" in words
    assert node.look().level is Level.CRITICAL


def test_a_stuck_role_and_a_worker_without_a_model_need_a_person(node: Fixture) -> None:
    """A role that lives but does not move is a warning with its own words; so is a worker that holds no model."""
    started = node.start_roles(*ROLES)
    node.roles.beat(started["work"], trouble="analysis has not moved for 2500 s")
    level, words = node.found("work")
    assert level is Level.WARNING
    assert "analysis has not moved for 2500 s" in words
    assert node.found("model")[0] is Level.WARNING


def test_workers_with_different_models_need_a_person(node: Fixture) -> None:
    """Two workers that serve different models are named by digest."""
    node.start_roles(*ROLES)
    node.roles.beat(node.start_roles("work")["work"], model_digest="cd" * 32)
    level, words = node.found("model")
    assert level is Level.WARNING
    assert "ab" * 6 in words
    assert "cd" * 6 in words


def test_a_queue_that_stands_still(node: Fixture) -> None:
    """Jobs that wait are counted; one that has waited for half an hour needs a person."""
    node.jobs.enqueue(series_uid(1), "a" * 64, 24)
    assert node.found("jobs") == (Level.OK, "1 queued")
    node.clock.pass_seconds(1801)
    level, words = node.found("jobs")
    assert level is Level.WARNING
    assert "the oldest has waited for 30 min" in words


def test_a_series_that_waits_for_slices_is_seen(node: Fixture) -> None:
    """A series that has made no job yet is not invisible; after an hour it needs a person."""
    inbox = Inbox(node.database)
    inbox.record([instance(series_uid(1), 1, inbox.open_association("MR1", "WMHNODE", "10.0.0.7", "r"))])
    assert node.found("waiting series")[0] is Level.OK
    assert node.found("waiting series")[1].startswith("1 wait")
    node.clock.pass_seconds(3601)
    assert node.found("waiting series")[0] is Level.WARNING


def test_failures_count_for_a_day(node: Fixture) -> None:
    """A job that failed needs a person today, and no longer makes the node look ill tomorrow."""
    node.jobs.enqueue(series_uid(1), "a" * 64, 24)
    job = node.jobs.claim("w", 60)
    assert job is not None
    node.jobs.fail(job.id, "w", "files are damaged")
    assert node.found("failures")[0] is Level.WARNING
    node.clock.pass_seconds(86_401)
    assert node.found("failures") == (Level.OK, "none in a day")


def test_a_destination_that_takes_nothing_is_named(node: Fixture) -> None:
    """A result that waits for an hour names its destination."""
    node.jobs.enqueue(series_uid(1), "a" * 64, 24)
    job = node.jobs.claim("w", 60)
    assert job is not None
    node.jobs.deliver(job.id, "w", {"wmh_volume_ml": 1.0}, [NewDelivery("pacs", ["x"])], {})
    assert not [check for check in node.look().checks if check.name == "destination pacs"]
    node.clock.pass_seconds(3601)
    assert node.found("destination pacs")[0] is Level.WARNING


def test_the_disk(node: Fixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Little room is a warning, none or no folder is critical; each says what to do."""
    assert node.found("storage")[0] is Level.OK
    monkeypatch.setattr("dicom_node.serve.checks._LOW_BYTES", 10**18)
    assert node.found("storage")[0] is Level.WARNING
    level, words = node.found("storage", node.with_settings(reserve_bytes=10**18))
    assert level is Level.CRITICAL
    assert "free disk space" in words
    settings = node.settings.model_copy(update={"storage": tmp_path / "gone"})
    assert node.found("storage", settings)[0] is Level.CRITICAL


def test_a_database_that_is_away_or_old_is_critical(tmp_path: Path) -> None:
    """Without the tables nothing else can be said, but the disk is still looked at."""
    state = look_at_node(load_settings(None, storage=tmp_path))
    assert state.level is Level.CRITICAL
    assert "db upgrade" in state.checks[0].words
    assert [check.name for check in state.checks] == ["database", "storage"]


@pytest.mark.parametrize(
    ("last_day", "level"), [("400101", Level.OK), ("in 20 days", Level.WARNING), ("200201", Level.CRITICAL)]
)
def test_a_certificate_that_ends(node: Fixture, tmp_path: Path, last_day: str, level: Level) -> None:
    """The node's certificate needs a person 30 days before its end, and is critical after."""
    if last_day == "in 20 days":
        last_day = f"{datetime.now(UTC) + timedelta(days=20):%y%m%d}"
    issued = Authority(tmp_path / "ca").issue("node", dates=("200101", last_day))
    settings = node.with_settings(dicom_tls_port=2762, tls_certificate=issued.certificate, tls_key=issued.key)
    assert node.found("certificate", settings)[0] is level


def test_a_result_that_waits_for_its_review(node: Fixture) -> None:
    """Off, nothing is said; on, it warns once the oldest has waited too long, and is well when readers have decided."""
    for number in (1, 2):
        node.jobs.enqueue(series_uid(number), "a" * 64, 1)
        job = node.jobs.claim("worker", 60)
        assert job is not None
        node.jobs.deliver(job.id, "worker", {"review_recommended": True}, [])
        node.clock.pass_seconds(3600)
    assert not [check for check in node.look().checks if check.name == "reviews"]
    watched = node.with_settings(review_hours=3)
    assert node.found("reviews", watched)[0] is Level.OK
    node.clock.pass_seconds(2 * 3600)
    level, words = node.found("reviews", watched)
    assert level is Level.WARNING
    assert words.startswith("2 results wait for a reader's review, the oldest for 4 h: open Review")
    ReviewTable(node.database).decide(1, ReviewVerdict.ACCEPTED, "alice")
    assert node.found("reviews", watched) == (Level.OK, "1 result waits for a reader's review, the oldest for 3 h")
    ReviewTable(node.database).decide(2, ReviewVerdict.ACCEPTED, "alice")
    assert node.found("reviews", watched) == (Level.OK, "no result waits for a review")
