"""Reports about what a peer does, not about what its files hold: a whole node and its peers, to the settled end."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import tiny_bundle
from support.node import Node
from support.processes import free_port, until
from support.report_inputs import elements, write
from support.scp import RecordingScp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle: these tests are about what happens before and after the network."""
    return tiny_bundle(tmp_path_factory.mktemp("model"))


def test_report_07_one_association_for_each_image(model: Path, tmp_path: Path) -> None:
    """Ten images on ten associations, their number announced nowhere: one job of ten, one result set in the PACS."""
    files = write(tmp_path / "in", elements(ImagesInAcquisition=None))
    with (
        RecordingScp(free_port()) as pacs,
        Node(tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", model) as node,
    ):
        for file in files:
            node.send([file])
        (job,) = node.ended_jobs(seconds=500)
        assert (str(job.state), job.instance_count) == ("done", 10)
        assert [len(pacs.of_modality(modality)) for modality in ("SEG", "SR")] == [1, 1]


@pytest.mark.parametrize(("status", "words"), [(None, "no answer"), (0xA700, "0xA700")])
def test_report_20_a_pacs_that_never_takes_a_segmentation(
    status: int | None, words: str, model: Path, tmp_path: Path
) -> None:
    """The page is there after the first try. When the answer has stayed the same for long enough the segmentation
    counts as refused: the job ends, and its reason names the destination, the object and the answer."""
    with (
        RecordingScp(free_port(), lambda _, sop_class: status if sop_class == SEG_CLASS else 0x0000) as pacs,
        # Two minutes are tried at all; what may pass is believed after a seventh of that.
        Node(tmp_path / "node", f"chokes=TESTPACS@127.0.0.1:{pacs.port}", model, delivery_days=120 / 86_400) as node,
    ):
        node.send(write(tmp_path / "in"))
        until(lambda: pacs.of_modality("OT"), "the page in the PACS", 600, node.log)
        (job,) = node.ended_jobs(seconds=500)
        assert str(job.state) == "failed"
        for said in (job.reason, node.cli("jobs", "explain", job.id).stdout):
            assert all(word in " ".join(said.split()) for word in ("chokes", "seg.dcm", words))
        assert {dataset.Modality for dataset in pacs.datasets} == {"OT"}, "a report went without its segmentation"
