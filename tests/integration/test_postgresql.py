"""The node on PostgreSQL: the same way, with more than one worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.databases import postgres_server
from support.models import tiny_bundle
from support.node import Node
from support.phantoms import phantom_files
from support.processes import free_port, program
from support.scp import RecordingScp

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("postgres"), pytest.mark.slow, pytest.mark.timeout(600)]


def test_two_workers_share_the_jobs(tmp_path: Path) -> None:
    """On PostgreSQL, `serve` and a further `work` share the jobs: each series is analysed once and delivered once."""
    series = [
        phantom_files(PhantomSpec(slices=12, matrix=128, seed=seed), tmp_path / f"series{seed}")
        for seed in (1, 2, 3, 4)
    ]
    model = tiny_bundle(tmp_path / "model")
    with postgres_server() as server, RecordingScp(free_port()) as pacs:
        url = server.new_database()
        node = Node(tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", model, database_url=url)
        refused = subprocess.run(
            [sys.executable, "-m", "dicom_node.cli", "serve"],
            env=node.environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert refused.returncode == 2
        assert "wmh-node db upgrade" in refused.stderr, "a shared database is upgraded by its administrator"
        node.cli("db", "upgrade")
        worker = [sys.executable, "-m", "dicom_node.cli", "work"]
        with node, program(worker, tmp_path / "worker.log", environment=node.environment):
            node.send([file for files in series for file in files])
            jobs = node.ended_jobs(4)
    assert [str(job.state) for job in jobs] == ["done"] * 4
    assert [job.attempts for job in jobs] == [1] * 4
    assert len(pacs.of_modality("SEG")) == 4
    assert len({str(dataset.SOPInstanceUID) for dataset in pacs.of_modality("SEG")}) == 4
