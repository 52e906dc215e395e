"""`wmh-node serve`: starting, stopping, and what it says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.models import tiny_bundle
from support.node import Node
from support.phantoms import phantom_files
from support.processes import free_port, until

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle."""
    return tiny_bundle(tmp_path_factory.mktemp("model"))


def test_a_taken_port_is_reported_at_once(tmp_path: Path, model: Path) -> None:
    """When another program holds the port, `serve` ends with exit 2 and names the port, before it starts anything."""
    node = Node(tmp_path, "", model)
    with socket.create_server(("127.0.0.1", node.port)):
        done = subprocess.run(
            [sys.executable, "-m", "dicom_node.cli", "serve"],
            env=node.environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{node.port}" in done.stderr
    assert "role started" not in done.stderr


@dataclass(frozen=True)
class Served:
    """A node that has analysed a series, still running, where its results go, and the port of its metrics."""

    node: Node
    destination: str
    metrics_port: int


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Served]:
    """Started from a shell whose umask hides nothing."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    files = phantom_files(PhantomSpec(slices=12, matrix=128), folder / "series")
    # Its port is closed: what is sent there fails, and is tried again.
    destination = f"pacs=ORTHANC@127.0.0.1:{free_port()}"
    before = os.umask(0o022)
    try:
        with Node(folder / "node", destination, model, metrics_port=port, peers="WMHNODE") as node:
            node.send(files)
            node.wait_for_state("delivering")
            yield Served(node, destination, port)
    finally:
        os.umask(before)


def test_it_says_where_it_listens(served: Served) -> None:
    """Once it takes connections, `serve` says under which AE title and where, and where results go."""
    node = served.node
    until(lambda: f"WMHNODE listens on 127.0.0.1:{node.port}" in node.log.read_text(), "announcement", 30)
    assert served.destination in node.log.read_text()


def test_others_cannot_read_what_it_writes(served: Served) -> None:
    """Instances, results and database are for the node's user and group, whatever the umask of the shell."""
    node = served.node
    written = [node.storage, *node.storage.rglob("*"), *node.folder.glob("node.sqlite*")]
    open_to_all = [str(path) for path in written if path.exists() and path.stat().st_mode & 0o007]
    assert {"seg.dcm", "sr.dcm", "node.sqlite", "inbox"} <= {path.name for path in written}
    assert open_to_all == []


def test_one_port_answers_for_all_roles(served: Served) -> None:
    """Health and metrics of a running node: alive, ready, and what receiver and worker counted in their processes."""
    node, port = served.node, served.metrics_port
    until(lambda: _get(port, "/readyz") == "ok\n", "the node being ready", 60, node.log)
    assert _get(port, "/livez") == "ok\n"
    found = _get(port, "/metrics")
    assert 'wmh_instances_received_total{outcome="new",peer="WMHNODE"} 12.0' in found
    assert re.search(r'wmh_stage_duration_seconds_count\{stage="infer"\} 1\.0', found)
    assert {role for role in ("receive", "work", "deliver") if f'timestamp_seconds{{worker="{role}-' in found} == {
        "receive", "work", "deliver",
    }  # fmt: skip
    second = subprocess.run(
        [sys.executable, "-m", "dicom_node.cli", "serve"],
        env={**node.environment, "WMH_NODE_DICOM_PORT": str(free_port())},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (second.returncode, "another node serves STORAGE" in second.stderr) == (2, True)


def _get(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def test_stopping_finishes_what_was_begun(tmp_path: Path, model: Path) -> None:
    """SIGTERM while a job runs: the job is finished first, then every process ends, with exit 0."""
    files = phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path / "series")
    with Node(tmp_path / "node", "", model) as node:
        node.send(files)
        node.wait_for_state("running")
        family = psutil.Process(node._process.pid).children(recursive=True)
        node.stop()
        assert node._process.returncode == 0
        assert not psutil.wait_procs(family, 5)[1]
        (job,) = node.jobs.list()
        assert str(job.state) == "done"
        assert job.attempts == 1


def test_kill_9_of_the_supervisor_leaves_nothing_behind(tmp_path: Path, model: Path) -> None:
    """When the supervisor is killed its roles end by themselves, so that it can be started again at once."""
    node = Node(tmp_path / "node", "", model)
    with node:
        node.wait_until_ready()
        family = psutil.Process(node._process.pid).children(recursive=True)
        node._process.kill()
        assert not psutil.wait_procs(family, 30)[1]
        node.start()
