"""A node of 0.1.0 is upgraded in place: tests/support/make_release_0_1_0.py made it with that release's code."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.make_release_0_1_0 import FIXTURE, digests_of
from support.node import AE_TITLE, Node, clean_environment, run_cli
from support.processes import free_port, until
from support.scp import RecordingScp

from db.audit import audit_entries, verify_chain
from db.engine import open_database
from dicom_node.deliver.send import send_files
from dicom_node.node.settings import parse_destination


class Old:
    """The storage of the old node, unpacked."""

    def __init__(self, folder: Path) -> None:
        with tarfile.open(FIXTURE) as archive:
            archive.extractall(folder, filter="data")
        self.storage = folder / "storage"
        self.expected: dict[str, Any] = json.loads((self.storage / "expected.json").read_text())
        self.url = f"sqlite:///{self.storage / 'node.sqlite'}"
        self.environment = {**clean_environment(), "WMH_NODE_STORAGE": str(self.storage)}

    def revision(self) -> str:
        with closing(sqlite3.connect(self.storage / "node.sqlite")) as connection:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])

    def jobs(self) -> dict[int, dict[str, Any]]:
        listed = json.loads(run_cli("jobs", "list", "--json", environment=self.environment).stdout)
        return {job["id"]: job for job in (listed["jobs"] if isinstance(listed, Mapping) else listed)}


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path)


def test_a_database_of_0_1_0_is_upgraded_in_place(old: Old) -> None:
    """`db check` names the difference; `db upgrade` keeps every job, state, reason and measurement, every file, and
    what people did, whose chain then is whole."""
    assert old.expected["version"] == "0.1.0"
    before = old.revision()
    refused = run_cli("db", "check", environment=old.environment, code=1)
    assert f"revision {before}" in refused.stdout + refused.stderr
    run_cli("db", "upgrade", environment=old.environment)
    assert old.revision() != before
    jobs = old.jobs()
    assert {job["id"] for job in old.expected["jobs"]} == set(jobs)
    for job in old.expected["jobs"]:
        now = jobs[job["id"]]
        changed = {name for name in job if name in now and name != "waits" and now[name] != job[name]}
        assert changed == set(), {name: (job[name], now[name]) for name in changed}
    assert digests_of(old.storage) == old.expected["digests"]
    with closing(open_database(old.url)) as database:
        actions = [(entry.who, entry.action, entry.job_id) for entry in audit_entries(database)]
        assert actions == [(entry["who"], entry["action"], entry["job_id"]) for entry in old.expected["audit"]]
        assert verify_chain(database).is_whole


def test_the_upgraded_node_goes_on_where_the_old_one_was(old: Old, tmp_path: Path) -> None:
    """`serve` upgrades SQLite itself and sends what waited as the old node made it; images that come
    again make no new job."""
    port = free_port()
    waiting = {job["id"] for job in old.expected["jobs"] if job["state"] == "delivering"}
    assert waiting
    node = Node(tmp_path, f"pacs=PACS@127.0.0.1:{port}", database_url=old.url)
    with RecordingScp(port) as pacs, node:
        until(lambda: all(old.jobs()[number]["state"] == "done" for number in waiting), "results sent", 240, node.log)
        files = [old.storage / name for name in old.expected["digests"] if name.startswith("outbox/")]
        made = {
            dataset.SOPInstanceUID: dataset
            for dataset in (pydicom.dcmread(file) for file in files if file.suffix == ".dcm")
        }
        assert {"SEG", "SR"} <= {dataset.Modality for dataset in pacs.datasets}
        for arrived in pacs.datasets:
            assert _content(arrived) == _content(made[arrived.SOPInstanceUID])
        inbox = [
            old.storage / name
            for name in old.expected["digests"]
            if name.startswith("inbox/") and name.endswith(".dcm")
        ]
        sent = send_files(inbox, parse_destination(f"{AE_TITLE}@127.0.0.1:{node.port}"), calling_ae_title="SCANNER")
        assert {outcome.status for outcome in sent} == {0}
        assert set(old.jobs()) == {job["id"] for job in old.expected["jobs"]}


def _content(dataset: Dataset) -> tuple[Dataset, bytes]:
    """All elements, and the pixels apart: their VR may differ with the transfer syntax."""
    pixels = dataset.get("PixelData", b"")
    rest = Dataset({element.tag: element for element in dataset if element.keyword != "PixelData"})
    return rest, pixels


@pytest.mark.parametrize("command", [("serve",), ("receive",), ("db", "upgrade"), ("db", "check")], ids=" ".join)
def test_a_database_of_a_newer_version_is_refused(command: tuple[str, ...], old: Old) -> None:
    """There is no downgrade: each command says so, names both revisions and the next step, and changes nothing."""
    run_cli("db", "upgrade", environment=old.environment)
    with closing(sqlite3.connect(old.storage / "node.sqlite")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9001'")
        connection.commit()
    environment = {**old.environment, "WMH_NODE_DICOM_PORT": str(free_port()), "WMH_NODE_WEB_PORT": "0"}
    done = run_cli(*command, environment=environment, code=None)
    assert done.returncode in (1, 2)
    said = done.stdout + done.stderr
    assert "revision 9001 belongs to a newer version" in said and "Traceback" not in said
    if command != ("db", "check"):  # it reports, and advises nothing
        assert "install that version, or restore a backup" in said
    assert old.revision() == "9001"
