"""The page in a real browser, on a node with real jobs whose headers are hostile."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from support.models import tiny_bundle
from support.ohif import artefacts
from support.page_browser import SeenPage, look, pages_of, served, watch
from support.page_node import PageNode, close_page_node, make_page_node
from support.peers import node_peer, peer
from support.worker_setting import READER

from db.cohorts import CohortState, ItemState
from db.records import ReviewState
from dicom_node.models.adding import add_model
from dicom_node.models.choice import store_of
from dicom_node.node.outbox import Outbox
from segmentation.bundle import load_bundle
from segmentation.ensemble import open_ensemble

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.slow, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Shown:
    """What was seen of each page, and what the page said after each step of a person without JavaScript."""

    node: PageNode
    seen: list[SeenPage]
    said: list[str]


@pytest.fixture(scope="module")
def served_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PageNode, str]]:
    """The node, and the address of its page."""
    peer("chromium"), node_peer("axe-core")
    folder = tmp_path_factory.mktemp("page")
    bundle = tiny_bundle(tmp_path_factory.mktemp("model"), sure=True)
    node = make_page_node(folder / "node", open_ensemble(load_bundle(bundle), "openvino"))
    try:
        add_model(tiny_bundle(folder / "tiny"), None, store_of(node.site.settings), node.site.models, "test")
        with served(node) as url:
            yield node, url
    finally:
        close_page_node(node)
        READER.close()


@pytest.fixture(scope="module")
def shown(served_node: tuple[PageNode, str], tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Every page at three sizes, in light and dark, and without JavaScript; then a person's way through the forms."""
    node, url = served_node
    folder = tmp_path_factory.mktemp("shown")
    pictures, pages = artefacts(folder / "pictures") / "page", pages_of(node)
    seen, _ = look(url, pictures, pages)
    steps = _steps(node, folder)
    plain, said = look(url, pictures, pages, themes=("dark",), scripts=(False,), steps=steps, whole=False)
    return Shown(node, seen + plain, said)


def _steps(node: PageNode, folder: Path) -> list[dict[str, object]]:
    """Filter, retry, reject with a reason, upload a correction, withdraw: each by forms alone."""
    job, failed = f"/jobs/{node.jobs['late']}", f"/jobs/{node.jobs['failed']}"
    return [
        {"go": "/jobs", "fill": {"code": "not_axial"}, "press": "Show"},
        {"go": failed, "press": "Try again"},
        {"go": f"{job}/slices", "unfold": "Reject", "fill": {"reason": "the septum"}, "press": "Reject the result"},
        {"go": job, "unfold": "Correct", "file": str(_correction(node, folder)), "press": "Upload"},
        {"go": job, "press": "Accept"},
        {"go": job, "unfold": "Withdraw", "fill": {"reason": "wrong scan"}, "press": "Withdraw the result"},
    ]


def _ends_a_study(node: PageNode) -> Callable[[], None]:
    """Ends the study that waits, at the first call; each call is a change of the cohort."""
    while node.setting.jobs.claim("worker", 3600.0):
        pass  # nothing is fetched while a job is queued
    item = node.site.cohorts.claim("retriever", 3600.0, 21)
    assert item is not None
    changes = [lambda: node.site.cohorts.end(item.id, "retriever", ItemState.FAILED, "there is no such study")]

    def change() -> None:
        while changes:
            changes.pop()()
        node.site.cohorts.set_state(node.site.cohorts.numbered(1).name, CohortState.PAUSED, "test")

    return change


def _correction(node: PageNode, folder: Path) -> Path:
    result = Outbox(node.setting.storage / "outbox").of_job(node.jobs["late"])
    seg = pydicom.dcmread(result / "seg.dcm")
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    seg.SeriesInstanceUID = generate_uid()
    seg.PixelData = bytes(np.frombuffer(seg.PixelData, np.uint8) ^ 1)
    stream = io.BytesIO()
    seg.save_as(stream, enforce_file_format=True)
    file = folder / "corrected.dcm"
    file.write_bytes(stream.getvalue())
    return file


def test_every_page_is_shown(shown: Shown) -> None:
    """Each page has its heading, fits the window at each size, and makes no error in the browser's console."""
    for one in shown.seen:
        assert one.status == (404 if one.page == "missing" else 200), one.name
        assert one.heading, one.name
        assert one.wide <= 0, one.name
        assert [words for words in one.complaints if "404" not in words] == [], one.name
    assert len({one.page for one in shown.seen}) >= 15


def test_no_hostile_text_runs_in_a_browser(shown: Shown) -> None:
    """No script, handler or image of a DICOM string has run on any page."""
    assert [one.name for one in shown.seen if one.owned is not None] == []


def test_axe_core_finds_nothing(shown: Shown) -> None:
    """No page has a barrier that axe-core knows, in light or dark, on a laptop or a tablet."""
    found = {(one.name, words) for one in shown.seen for words in one.violations}
    assert found == set()


def test_forms_need_no_script(shown: Shown) -> None:
    """Without JavaScript a person filters, retries, rejects, uploads, accepts and withdraws."""
    filtered, retried, rejected, uploaded, accepted, withdrawn = shown.said
    assert re.search(rf"^{shown.node.jobs['rejected']}\t", filtered, re.MULTILINE)
    assert not re.search(rf"^{shown.node.jobs['late']}\t", filtered, re.MULTILINE)
    assert re.search(rf"Job {shown.node.jobs['failed']}\s+queued", retried)
    assert "the septum" in rejected
    assert "sent a correction" in uploaded
    assert re.search(r"accepted by admin", accepted)
    assert "Results withdrawn" in withdrawn
    job = shown.node.setting.jobs.get(shown.node.jobs["late"])
    assert (job.review, job.withdrawn_reason) == (ReviewState.ACCEPTED, "wrong scan")


def test_the_page_of_a_cohort_updates_itself(served_node: tuple[PageNode, str], tmp_path: Path) -> None:
    """Counts and rows of a cohort change on an open page without a click when a study has failed, as those of a job
    do."""
    node, url = served_node
    said = watch(url, tmp_path, "/cohorts/1", "no such study", _ends_a_study(node))
    assert re.search(r"failed\s+2", said)
    assert re.search(r"waiting\s+0", said)
