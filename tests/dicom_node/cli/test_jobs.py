"""`wmh-node jobs` and `wmh-node db` on a real database; asking where none is, as processes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite
from support.databases import with_schema
from support.node import run_cli, run_here
from support.received import instance, series_uid

from db.deliveries import DeliveryTable
from db.engine import Database, open_database
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import AssociationEnd, NewDelivery

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings of a node whose database does not exist yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
    return {**clean, "WMH_NODE_STORAGE": str(tmp_path), "COLUMNS": "80"}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """That database, upgraded."""
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    with_schema(url)
    return open_database(url)


def _failed_delivery(database: Database) -> int:
    """A series received, analysed, and given up by one of two destinations; returns the job's id."""
    inbox, jobs, deliveries = Inbox(database), JobTable(database), DeliveryTable(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver-1")
    inbox.record([instance(series_uid(1), number, association) for number in range(3)])
    inbox.end_association(association, AssociationEnd.RELEASED)
    job = jobs.enqueue(series_uid(1), "a" * 64, 3)
    jobs.claim("worker-1", 60)
    jobs.deliver(job.id, "worker-1", {"wmh_volume_ml": 4.25}, [NewDelivery("old", ["x"]), NewDelivery("new", ["x"])])
    first, second = deliveries.claim("s", 60), deliveries.claim("s", 60)
    assert first is not None
    assert second is not None
    deliveries.give_up(first.id, "s", "old: refused 3 times: seg.dcm: status 0x0122 [not supported]")
    deliveries.sent(second.id, "s")
    return job.id


def test_no_database_yet(environment: dict[str, str], tmp_path: Path) -> None:
    """Asking where no database is names it, asks for the shell's settings, says what to run, and makes no file."""
    for command in (("jobs", "list"), ("feedback", "list"), ("models", "list")):
        done = run_cli(*command, environment=environment, code=1)
        for words in (
            f"sqlite:///{tmp_path}/node.sqlite",
            "WMH_NODE_CONFIG",
            "WMH_NODE_STORAGE",
            "wmh-node db upgrade",
        ):
            assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_of_the_next_shell(environment: dict[str, str], tmp_path: Path) -> None:
    """WMH_NODE_CONFIG names the settings file for every command, as --config does."""
    of_node = tmp_path / "elsewhere"
    with_schema(f"sqlite:///{of_node / 'node.sqlite'}")
    config = tmp_path / "node.toml"
    config.write_text(f'storage = "{of_node}"\n')
    del environment["WMH_NODE_STORAGE"]
    for known in ({"environment": {**environment, "WMH_NODE_CONFIG": str(config)}}, {"environment": environment}):
        option = () if "WMH_NODE_CONFIG" in known["environment"] else ("--config", config)
        assert "no jobs" in run_here("jobs", "list", *option, **known).stdout


def test_upgrade_and_check(environment: dict[str, str], tmp_path: Path) -> None:
    """`db check` exits 1 before and 0 after `db upgrade`; both say where the schema stands."""
    assert "no schema yet" in run_here("db", "check", environment=environment, code=1).stdout
    run_here("db", "upgrade", environment=environment)
    assert not (tmp_path / "node.sqlite").stat().st_mode & 0o007, "other users can read the database"
    told = json.loads(run_here("db", "check", "--json", environment=environment).stdout)
    assert told["is_current"]
    assert told["current"] == told["head"]


def test_password_is_not_printed(environment: dict[str, str]) -> None:
    """A database that cannot be reached is named without its password."""
    environment["WMH_NODE_DATABASE_URL"] = "postgresql://node:s3cret@127.0.0.1:1/wmh"
    for command in (("db", "check"), ("jobs", "list")):
        done = run_here(*command, environment=environment, code=1)
        assert "node:***@127.0.0.1" in done.stderr
        assert "s3cret" not in done.stdout + done.stderr


def test_list_and_show(environment: dict[str, str], database: Database) -> None:
    """Jobs are listed with state and reason, and shown with measurements and deliveries; both also as JSON."""
    job_id = _failed_delivery(database)
    Inbox(database).record([instance(series_uid(2), 1, 1)])
    rejected = Inbox(database).reject_series(series_uid(2), "not_flair", "This is a T1.")
    listed = json.loads(run_here("jobs", "list", "--json", environment=environment).stdout)
    assert [(job["id"], job["state"]) for job in listed] == [(rejected.id, "rejected"), (job_id, "failed")]
    text = run_here("jobs", "list", "--state", "rejected", environment=environment).stdout
    assert any(series_uid(2) in line and "This is a T1." in line for line in text.splitlines())
    assert "failed" not in text
    shown = json.loads(run_here("jobs", "show", job_id, "--json", environment=environment).stdout)
    assert shown["measurements"] == {"wmh_volume_ml": 4.25}
    assert [entry["state"] for entry in shown["deliveries"]] == ["given up", "sent"]
    assert "measured wmh_volume_ml" in run_here("jobs", "show", job_id, environment=environment).stdout


def test_explain(environment: dict[str, str], database: Database) -> None:
    """The story of a series is reported as text, with brackets, by job or by series, and ends with what to do."""
    job_id = _failed_delivery(database)
    for asked in (job_id, series_uid(1)):
        told = run_here("jobs", "explain", asked, environment=environment).stdout
        assert "3 instances from SCANNER" in told
        assert "s in the queue" in told
        assert "status 0x0122 [not supported]" in told
        assert f"wmh-node jobs retry {job_id}" in told
    plain = json.loads(run_here("jobs", "explain", job_id, "--json", environment=environment).stdout)
    assert [event["what"] for event in plain["events"]][:3] == [
        "association opened", "received", "association released",
    ]  # fmt: skip


def test_explain_a_series_that_waits(environment: dict[str, str], database: Database) -> None:
    """A series without a verdict is explained too: what it waits for."""
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver-1")
    inbox.record([instance(series_uid(1), 1, association)])
    assert "still open" in run_here("jobs", "explain", series_uid(1), environment=environment).stdout
    inbox.end_association(association, AssociationEnd.ABORTED)
    assert "did not end normally" in run_here("jobs", "explain", series_uid(1), environment=environment).stdout


def test_retry_and_cancel(environment: dict[str, str], database: Database) -> None:
    """Retry and cancel act, and the audit has who asked; what is not allowed exits 1 with the reason."""
    job_id = _failed_delivery(database)
    assert "delivering" in run_here("jobs", "retry", job_id, "--by", "alice", environment=environment).stdout
    (cancelled,) = json.loads(run_here("jobs", "cancel", job_id, "--json", environment=environment).stdout)
    assert cancelled["state"] == "cancelled"
    refused = run_here("jobs", "cancel", job_id, environment=environment, code=1)
    assert "it is cancelled, expected queued, running, delivering" in refused.stderr
    assert ".py" not in refused.stderr  # no file of ours helps who reads it
    newest, oldest = json.loads(run_here("jobs", "audit", "--json", environment=environment).stdout)
    assert (newest["action"], oldest["action"], oldest["who"]) == ("cancel", "retry", "alice")
    assert "@" in newest["who"]
    assert "alice  retry job" in run_here("jobs", "audit", environment=environment).stdout


def test_prioritise(environment: dict[str, str], database: Database) -> None:
    """A queued job gets the priority that was asked for, high without one; `show` and `list` have it, the audit too."""
    job_id = str(JobTable(database).enqueue(series_uid(1), "a" * 64, 1).id)
    moved = run_here("jobs", "prioritise", job_id, "--by", "alice", "--reason", "theatre", environment=environment)
    assert moved.stdout == f"job {job_id} is queued, high priority\n"
    (listed,) = json.loads(run_here("jobs", "list", "--json", environment=environment).stdout)
    shown = json.loads(run_here("jobs", "show", job_id, "--json", environment=environment).stdout)
    assert (listed["priority"], shown["priority"], shown["place"] < shown["not_before"]) == ("high", "high", True)
    assert "with high priority" in run_here("jobs", "explain", job_id, environment=environment).stdout
    (low,) = json.loads(run_here("jobs", "prioritise", job_id, "--low", "--json", environment=environment).stdout)
    assert low["priority"] == "low"
    refused = run_here("jobs", "prioritise", job_id, "--low", "--high", environment=environment, code=2)
    assert "expected one of --high, --medium, --low; got 2" in refused.stderr
    newest, oldest = json.loads(run_here("jobs", "audit", "--json", environment=environment).stdout)
    assert (newest["action"], newest["detail"]) == ("prioritise", "from high to low")
    assert (oldest["who"], oldest["detail"]) == ("alice", "from medium to high: theatre")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list", "--state", "finished"), 2, "expected one of queued"),
        (("explain", "yesterday"), 2, "a SeriesInstanceUID"),
        (("explain", "1.2.3"), 1, "nothing of series 1.2.3 was received"),
        (("show", "4711"), 1, "there is no job 4711"),
    ],
)
def test_bad_questions(
    arguments: tuple[str, ...], code: int, words: str, environment: dict[str, str], database: Database
) -> None:
    """A question that cannot be answered says what was expected, with the exit code for it."""
    done = run_here("jobs", *arguments, environment=environment, code=code)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_series_that_wait_are_listed_and_found(environment: dict[str, str], database: Database, tmp_path: Path) -> None:
    """A series without a job stands below the jobs, and is found by accession number and description; the JSON list of
    jobs stays a list of jobs."""
    _failed_delivery(database)
    inbox, uid = Inbox(database), series_uid(2)
    association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver-1")
    waiting = replace(instance(uid, 1, association), path="inbox/ab/one.dcm")
    (tmp_path / "inbox" / "ab").mkdir(parents=True)
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = waiting.sop_class_uid, waiting.sop_instance_uid
    image.AccessionNumber, image.SeriesDescription = "A1234", "Ax T2 FLAIR"
    dcmwrite(tmp_path / waiting.path, image, implicit_vr=False, little_endian=True, enforce_file_format=False)
    inbox.record([waiting])
    shown = run_here("jobs", "list", environment=environment).stdout
    assert f"waiting: series {uid}, study {waiting.study_instance_uid}: 1 instances, the last one" in shown
    assert series_uid(1) in shown
    found = json.loads(run_here("jobs", "list", "--json", "--find", "a1234", environment=environment).stdout)
    assert found == []
    found = json.loads(
        run_here("jobs", "list", "--json", "--waiting", "--find", "t2 flair", environment=environment).stdout
    )
    assert [job["series_instance_uid"] for job in found] == [uid]
