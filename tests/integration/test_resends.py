"""Series that come twice, in parts, or from several senders at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.dcmtk import storescu
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.phantoms import phantom_files
from support.processes import free_port, until
from support.scp import RecordingScp

from db.engine import open_database
from db.inbox import Inbox
from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, RecordingScp]]:
    """One node and its destination for all tests here; each test uses its own series."""
    folder = tmp_path_factory.mktemp("resends")
    model = tiny_bundle(folder / "model")
    with (
        RecordingScp(free_port()) as pacs,
        Node(folder / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", model, quiet_seconds=3) as node,
    ):
        yield node, pacs


def _series(folder: Path, seed: int) -> list[Path]:
    return phantom_files(PhantomSpec(slices=12, matrix=128, seed=seed), folder)


def _segs(pacs: RecordingScp, series_uid: str) -> list[str]:
    return [
        str(dataset.SOPInstanceUID)
        for dataset in pacs.of_modality("SEG")
        if dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == series_uid
    ]


def _report(pacs: RecordingScp, uids: Mapping[str, str] | None) -> Dataset:
    assert uids is not None
    return next(dataset for dataset in pacs.of_modality("SR") if dataset.SOPInstanceUID == uids["SOPInstanceUID"])


def _job_uids(node: Node) -> set[str]:
    return {job.series_instance_uid for job in node.jobs.list()}


def _wait_done(node: Node, count: int) -> None:
    until(
        lambda: len([job for job in node.jobs.list() if str(job.state) == "done"]) >= count,
        f"{count} jobs done",
        120,
        node.log,
    )


def test_a_series_sent_twice_is_analysed_once(running: tuple[Node, RecordingScp], tmp_path: Path) -> None:
    """The same series again, after its result: no second job, no second result set."""
    node, pacs = running
    before, done = _job_uids(node), len([job for job in node.jobs.list() if str(job.state) == "done"])
    files = _series(tmp_path, 11)
    storescu(files, AE_TITLE, node.port)
    _wait_done(node, done + 1)
    storescu(files, AE_TITLE, node.port)
    with closing(open_database(node.database_url)) as database:
        until(lambda: not Inbox(database).open_series(), "every series closed", 60, node.log)
    (series_uid,) = _job_uids(node) - before
    assert len([job for job in node.jobs.list() if job.series_instance_uid == series_uid]) == 1
    assert len(_segs(pacs, series_uid)) == 1


def test_a_late_slice_gives_a_second_result(running: tuple[Node, RecordingScp], tmp_path: Path) -> None:
    """A slice that comes after the result gives a job that names its predecessor, and its own result set."""
    node, pacs = running
    before, done = _job_uids(node), len([job for job in node.jobs.list() if str(job.state) == "done"])
    files = _series(tmp_path, 12)
    storescu(files[:-1], AE_TITLE, node.port)
    _wait_done(node, done + 1)
    storescu(files[-1:], AE_TITLE, node.port)
    _wait_done(node, done + 2)
    (series_uid,) = _job_uids(node) - before
    first, second = sorted(
        (job for job in node.jobs.list() if job.series_instance_uid == series_uid), key=lambda job: job.id
    )
    assert (first.instance_count, second.instance_count) == (11, 12)
    assert second.predecessor_id == first.id
    assert len(set(_segs(pacs, series_uid))) == 2
    earlier, later = (_report(pacs, job.report) for job in (first, second))
    assert "PredecessorDocumentsSequence" not in earlier
    (study,) = later.PredecessorDocumentsSequence
    (of_study,) = study.ReferencedSeriesSequence
    (named,) = of_study.ReferencedSOPSequence
    assert (study.StudyInstanceUID, of_study.SeriesInstanceUID) == (earlier.StudyInstanceUID, earlier.SeriesInstanceUID)
    assert (named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID) == (
        earlier.SOPClassUID,
        earlier.SOPInstanceUID,
    )


def test_several_senders_at_once(running: tuple[Node, RecordingScp], tmp_path: Path) -> None:
    """Four series from four senders at once, one of them in two associations: four result sets."""
    node, pacs = running
    before, done = _job_uids(node), len([job for job in node.jobs.list() if str(job.state) == "done"])
    folders = [_series(tmp_path / str(seed), seed) for seed in (21, 22, 23, 24)]
    parts = [*folders[:3], folders[3][0::2], folders[3][1::2]]
    errors: list[BaseException] = []

    def send(files: list[Path]) -> None:
        try:
            storescu(files, AE_TITLE, node.port)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(files,)) for files in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    _wait_done(node, done + 4)
    new = _job_uids(node) - before
    assert len(new) == 4
    assert all(len(_segs(pacs, uid)) == 1 for uid in new)
