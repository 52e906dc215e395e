"""The live model changes, or is damaged, while a real node works: no job is lost, every result names what made it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from support.models import tiny_bundle
from support.node import Node
from support.phantoms import phantom_files
from support.processes import until
from support.results import outbox_of

from db.audit import audit_entries
from db.engine import open_database
from db.engine.migrate import upgrade
from db.models import ModelTable
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.models.adding import add_model
from dicom_node.models.store import ModelStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node whose settings name no model; not started."""
    made = Node(tmp_path / "node", runtime="openvino")
    made.environment.pop("WMH_NODE_MODEL", None)
    yield made
    made.stop()


def _send(node: Node, seed: int, folder: Path) -> None:
    """Send its own phantom."""
    node.send(phantom_files(PhantomSpec(seed=seed, slices=24, matrix=128), folder / f"series-{seed}"))


def _made_by(node: Node, job_id: int) -> str:
    """Digest of the model that made a job's result: the same in every part of it."""
    folder = outbox_of(node.storage, job_id)
    named = {json.loads((folder / "measurements.json").read_text())["model"]["digest"]}
    for name in ("seg.dcm", "sr.dcm"):
        (equipment, *_) = pydicom.dcmread(folder / name, stop_before_pixels=True).ContributingEquipmentSequence
        named.add(str(equipment.DeviceSerialNumber))
    assert node.jobs.get(job_id).measurements["model"]["digest"] in named
    (digest,) = named
    return digest


def test_models_change_under_a_working_node(node: Node, tmp_path: Path) -> None:
    """A job in flight ends with the model it began with, the next gets the new one without a restart; a live model that
    is damaged on disk stops no worker that has it, a fresh one says what to do, and a rollback lets it go on."""
    upgrade(node.database_url)
    with closing(open_database(node.database_url)) as database:
        table, store = ModelTable(database), ModelStore(node.storage / "models")
        a, b = (
            add_model(tiny_bundle(tmp_path / str(members), members=members), None, store, table, "alice@lab").digest
            for members in (1, 2)
        )
        table.promote(a, "alice@lab", None)
        node.start()
        worker = until(lambda: node.role_pid("work"), "worker running")

        _send(node, 1, tmp_path)
        node.wait_for_state("running")
        table.promote(b, "alice@lab", a)  # while the first job is computed
        (first,) = node.ended_jobs(1)
        _send(node, 2, tmp_path)
        (_, second) = node.ended_jobs(2)
        assert [str(job.state) for job in (first, second)] == ["done", "done"]
        assert [job.attempts for job in (first, second)] == [1, 1]
        assert [_made_by(node, job.id) for job in (first, second)] == [a, b]

        member = store.folder_of(b) / "member-1.npz"
        member.chmod(0o644)
        member.write_bytes(b"rotten")
        _send(node, 3, tmp_path)
        (*_, third) = node.ended_jobs(3)
        assert _made_by(node, third.id) == b
        assert node.role_pid("work") == worker, "the worker was started again"

        node.kill_role("work")
        _send(node, 4, tmp_path)
        until(lambda: "live model cannot be loaded" in node.log.read_text(), "the fresh worker says so", 60, node.log)
        waiting = node.wait_for_state("queued")
        assert waiting.attempts == 0
        (told,) = [entry for entry in audit_entries(database) if entry.action == "live model not loaded"]
        assert "member-1.npz" in told.detail
        assert "models rollback" in told.detail
        assert node.log.read_text().count("live model cannot be loaded") == 1

        rolled = json.loads(node.cli("models", "rollback", "--reason", "damaged", "--json").stdout)
        assert rolled["model"] == a
        (*_, fourth) = node.ended_jobs(4)
        assert (str(fourth.state), fourth.attempts) == ("done", 1)
        assert _made_by(node, fourth.id) == a
        assert list((node.storage / "models" / "unfinished").iterdir()) == []
