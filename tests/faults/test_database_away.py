"""PostgreSQL crashes while the node works: the roles wait for it, and nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.databases import postgres_server
from support.models import tiny_bundle
from support.node import AE_TITLE, Node, run_cli
from support.phantoms import phantom_files
from support.processes import free_port, until
from support.scp import RecordingScp

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("postgres"), pytest.mark.slow, pytest.mark.timeout(600)]


def test_postgresql_crashes_and_comes_back(tmp_path: Path) -> None:
    """While the database is away a sender gets no "stored"; when it is back the same node goes on by itself."""
    files = phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path / "series")
    with postgres_server() as server, RecordingScp(free_port()) as pacs:
        node = Node(
            tmp_path / "node",
            f"pacs=TESTPACS@127.0.0.1:{pacs.port}",
            tiny_bundle(tmp_path / "model"),
            database_url=server.new_database(),
        )
        node.cli("db", "upgrade")
        with node:
            node.wait_until_ready()
            before = node.role_pid("work")
            server.stop("immediate")
            refused = run_cli("send", *files, "--to", f"{AE_TITLE}@127.0.0.1:{node.port}", code=1)
            assert "0 of 12 sent" in refused.stdout
            time.sleep(2)
            server.start_again()
            until(lambda: _sent(files, node), "sending again", 60, node.log)
            (job,) = node.ended_jobs()
            assert node.role_pid("work") == before, "the worker kept its model"
    assert str(job.state) == "done", job.reason
    assert sorted({dataset.Modality for dataset in pacs.datasets}) == ["OT", "SEG", "SR"]
    assert len({dataset.SOPInstanceUID for dataset in pacs.datasets}) == len(pacs.datasets), "something was sent twice"


def _sent(files: list[Path], node: Node) -> bool:
    return node.takes(files)
