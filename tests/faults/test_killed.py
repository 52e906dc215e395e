"""Kill -9 at bad moments: after a restart there is one result set, nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from support.models import tiny_bundle
from support.node import SHORT_LEASE_SECONDS, Node, run_cli
from support.phantoms import phantom_files
from support.processes import free_port, until
from support.results import outbox_of
from support.scp import RecordingScp, send_slowly

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A phantom series with enough slices that there is time to kill something."""
    return phantom_files(PhantomSpec(slices=24), tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle: these tests are about what happens around the network."""
    return tiny_bundle(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def expected(series: list[Path], model: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """SOP instance UIDs of the results, as an undisturbed node gives them."""
    with RecordingScp(free_port()) as pacs, _node(tmp_path_factory.mktemp("undisturbed"), pacs, model) as node:
        _send(series, node)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        assert {dataset.Modality for dataset in pacs.datasets} == {"OT", "SEG", "SR"}
        return {str(dataset.SOPInstanceUID) for dataset in pacs.datasets}


@pytest.fixture
def pacs() -> Iterator[RecordingScp]:
    """A destination that keeps what it gets."""
    with RecordingScp(free_port()) as scp:
        yield scp


def _node(tmp_path: Path, pacs: RecordingScp, model: Path, **settings: object) -> Node:
    return Node(tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", model, **settings)


def _send(series: list[Path], node: Node) -> None:
    node.send(series)


def _one_result_set(node: Node, pacs: RecordingScp, expected: set[str], again: bool = False) -> None:
    (job,) = node.ended_jobs()
    assert str(job.state) == "done", job.reason
    assert not again or job.attempts > 1, "the kill did not hit the moment that this test is about"
    # The same object may be sent twice, when the node was killed after sending and before writing that down;
    # what counts is that the PACS ends with one.
    assert {str(dataset.SOPInstanceUID) for dataset in pacs.datasets} == expected
    assert len(set(pacs.kept)) == len(expected), "same UID, other content"
    assert [path.name for path in (node.storage / "outbox" / "unfinished").iterdir()] == []


@pytest.mark.parametrize("delay_seconds", [0.0, 0.3, 0.8])
def test_worker_killed_while_it_analyses(
    delay_seconds: float, series: list[Path], model: Path, expected: set[str], pacs: RecordingScp, tmp_path: Path
) -> None:
    """A worker that dies in the middle of a job loses nothing: its lease runs out and the job is done again."""
    with _node(tmp_path, pacs, model, lease_seconds=SHORT_LEASE_SECONDS) as node:
        _send(series, node)
        node.wait_for_state("running")
        time.sleep(delay_seconds)
        node.kill_role("work")
        _one_result_set(node, pacs, expected, again=True)


def test_worker_killed_while_it_writes(
    series: list[Path], model: Path, expected: set[str], pacs: RecordingScp, tmp_path: Path
) -> None:
    """A worker that dies with a half-written result set leaves no half result: the next attempt writes the same."""
    with _node(tmp_path, pacs, model, lease_seconds=SHORT_LEASE_SECONDS) as node:
        unfinished = node.storage / "outbox" / "unfinished"
        _send(series, node)
        pid = until(lambda: node.role_pid("work"), "worker running")
        deadline = time.monotonic() + 120
        while not (unfinished.exists() and any(unfinished.iterdir())):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
        _one_result_set(node, pacs, expected, again=True)


@pytest.mark.parametrize("moment", ["running", "delivering"])
def test_power_cut(moment: str, series: list[Path], model: Path, expected: set[str], tmp_path: Path) -> None:
    """Every process of the node dies at once; after a restart the job goes on to one result set."""
    port = free_port()
    node = Node(tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{port}", model, lease_seconds=SHORT_LEASE_SECONDS)
    with node:
        _send(series, node)
        node.wait_for_state(moment)  # the PACS is not there yet, so "delivering" lasts
        node.kill_everything()
        with RecordingScp(port) as pacs:
            node.start()
            _one_result_set(node, pacs, expected, again=moment == "running")


def test_receiver_killed_in_the_middle_of_a_series(
    series: list[Path], model: Path, expected: set[str], pacs: RecordingScp, tmp_path: Path
) -> None:
    """What the receiver answered 0x0000 to before it died is kept; when the sender sends again there is one result."""
    with _node(tmp_path, pacs, model, quiet_seconds_incomplete=120) as node:

        def kill_at(number: int) -> None:
            if number == len(series) // 2:
                node.kill_role("receive")

        statuses = send_slowly(series, node.port, pause_seconds=0.02, after_each=kill_at)
        taken = sum(status == 0x0000 for status in statuses)
        assert len(series) // 2 <= taken < len(series)
        kept = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in node.storage.rglob("*.dcm")}
        for file, status in zip(series, statuses, strict=True):
            if status == 0x0000:
                assert pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID in kept
        until(lambda: node.role_pid("receive"), "receiver running again")
        until(lambda: _sent_again(series, node), "sending again", 60)
        _one_result_set(node, pacs, expected)


def _sent_again(series: list[Path], node: Node) -> bool:
    return node.takes(series)


def test_served_and_offline_agree(series: list[Path], model: Path, pacs: RecordingScp, tmp_path: Path) -> None:
    """The served path and `wmh-node segment` measure the same, bit for bit."""
    with _node(tmp_path, pacs, model) as node:
        _send(series, node)
        (job,) = node.ended_jobs()
        served = json.loads((outbox_of(node.storage, job.id) / "measurements.json").read_text())
    offline = json.loads(
        run_cli("segment", series[0].parent, "--out", tmp_path / "out", "--model", model, "--json").stdout
    )
    for measurements in (served, offline):
        measurements.pop("seconds")
    assert served == offline
