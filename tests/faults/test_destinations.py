"""Destinations in trouble: nothing is lost, nothing is analysed twice, the others are not held up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.models import tiny_bundle
from support.node import Node
from support.phantoms import phantom_files
from support.processes import free_port, until
from support.results import outbox_of
from support.scp import RecordingScp

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series."""
    return phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle: these tests are about what happens after the network."""
    return tiny_bundle(tmp_path_factory.mktemp("model"))


def _send(series: list[Path], node: Node) -> None:
    node.send(series)


def test_pacs_down_then_up(series: list[Path], model: Path, tmp_path: Path) -> None:
    """A PACS that is down gets the result when it is up again; the other destination has it meanwhile, and the series
    is analysed once."""
    port = free_port()
    with RecordingScp(free_port()) as up:
        destinations = f"down=TESTPACS@127.0.0.1:{port}, up=TESTPACS@127.0.0.1:{up.port}"
        with Node(tmp_path / "node", destinations, model) as node:
            _send(series, node)
            # The report goes last.
            until(lambda: up.of_modality("SR"), "delivery to the healthy destination", 120, node.log)
            job = node.wait_for_state("delivering")
            written = (outbox_of(node.storage, job.id) / "seg.dcm").stat().st_mtime_ns
            time.sleep(3)
            with RecordingScp(port) as late:
                (ended,) = node.ended_jobs()
                assert str(ended.state) == "done"
                assert {dataset.Modality for dataset in late.datasets} == {"OT", "SEG", "SR"}
                assert late.kept == up.kept
            assert (outbox_of(node.storage, job.id) / "seg.dcm").stat().st_mtime_ns == written
            assert len({dataset.SOPInstanceUID for dataset in up.datasets}) == len(up.datasets), (
                "the healthy one got it twice"
            )


def test_out_of_resources_is_not_sent(series: list[Path], model: Path, tmp_path: Path) -> None:
    """A700 is not "sent": the delivery is tried again until the PACS takes it."""
    with (
        RecordingScp(free_port(), lambda number, _: 0xA700 if number <= 4 else 0x0000) as pacs,
        Node(tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", model) as node,
    ):
        _send(series, node)
        until(lambda: pacs.asked >= 1, "first attempt", 120, node.log)
        assert str(node.jobs.list()[0].state) == "delivering"
        (job,) = node.ended_jobs()
        assert str(job.state) == "done"
        assert pacs.asked >= 4 + len(pacs.kept)
        assert sorted({dataset.Modality for dataset in pacs.datasets}) == ["OT", "SEG", "SR"]


def test_refused_for_good(series: list[Path], model: Path, tmp_path: Path) -> None:
    """A PACS that does not support SEG gets the summary, and no report about a segmentation that it has not got; it is
    asked three times, then the job fails with a reason that names it."""
    with (
        RecordingScp(free_port(), lambda _, sop_class: 0x0122 if sop_class == SEG_CLASS else 0x0000) as pacs,
        Node(tmp_path / "node", f"oldpacs=TESTPACS@127.0.0.1:{pacs.port}", model) as node,
    ):
        _send(series, node)
        (job,) = node.ended_jobs()
        assert str(job.state) == "failed"
        assert "oldpacs" in job.reason
        assert "0x0122" in job.reason
        assert "seg.dcm" in job.reason
        assert {dataset.Modality for dataset in pacs.datasets} == {"OT"}, "a report was sent without its segmentation"
        pages = len({dataset.SOPInstanceUID for dataset in pacs.datasets})
        assert pages >= 1
        assert pacs.asked == 3 * (1 + pages)
        explained = node.cli("jobs", "explain", job.id).stdout
        assert "oldpacs" in explained


def test_no_destination(series: list[Path], model: Path, tmp_path: Path) -> None:
    """A node without destinations keeps the result in its outbox, and the job is done."""
    with Node(tmp_path / "node", "", model) as node:
        _send(series, node)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done"
        assert (outbox_of(node.storage, job.id) / "sr.dcm").exists()
