"""End to end with DCMTK: storescu sends, dcmqrscp is the PACS and answers findscu and movescu."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from support.data import shared_data
from support.dcmtk import PACS_AE_TITLE, dcmqrscp, findscu_series, movescu_series, storescu
from support.dicom_series import series_from_nifti
from support.models import tiny_bundle
from support.node import AE_TITLE, SOON_INCOMPLETE_SECONDS, Node
from support.phantoms import phantom_files
from support.processes import free_port
from support.results import check_refers_to, headers
from support.whole_study import REASONS, other_objects

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("dcmqrscp"), pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


def test_storescu_in_dcmqrscp_out(tmp_path: Path) -> None:
    """A real FLAIR sent with storescu is found as SEG and SR in DCMTK's archive by C-FIND, and fetched by C-MOVE."""
    files = series_from_nifti(shared_data("flair-wmh", "101228", "flair.nii.gz"), tmp_path / "series", every=2)
    source = headers(files)
    study_uid = str(source[0].StudyInstanceUID)
    pacs_port, asker_port = free_port(), free_port()
    with (
        dcmqrscp(tmp_path / "pacs", pacs_port, asker_port, {}),
        Node(tmp_path / "node", f"pacs={PACS_AE_TITLE}@127.0.0.1:{pacs_port}") as node,
    ):
        storescu(files, AE_TITLE, node.port)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        fetched: dict[str, list[pydicom.Dataset]] = {"SEG": [], "SR": []}
        for modality, found in fetched.items():
            for series_uid in findscu_series(pacs_port, study_uid, modality):
                (file,) = movescu_series(pacs_port, asker_port, study_uid, series_uid, tmp_path / series_uid)
                found.append(pydicom.dcmread(file))
    (sr,) = fetched["SR"]
    assert len(fetched["SEG"]) == 2  # of the WMH; of their regions and the ventricles
    check_refers_to(fetched["SEG"], sr, source)


def test_storescu_gets_through_a_whole_study(tmp_path: Path) -> None:
    """storescu halts at the first object that is not taken: with reports and screen shots before the FLAIR everything
    arrives in one association, the FLAIR is analysed, and each other series is rejected with a reason."""
    flair = phantom_files(PhantomSpec(slices=24), tmp_path / "flair")
    others = other_objects(flair, tmp_path / "others")
    model = tiny_bundle(tmp_path / "model")
    with Node(tmp_path / "node", model=model, quiet_seconds_incomplete=SOON_INCOMPLETE_SECONDS) as node:
        storescu([*others, *flair], AE_TITLE, node.port)
        jobs = node.ended_jobs(1 + len(REASONS))
    (done,) = [job for job in jobs if str(job.state) == "done"]
    assert done.series_instance_uid == str(headers(flair)[0].SeriesInstanceUID)
    assert {job.reason for job in jobs if job is not done} == REASONS


def test_an_object_that_dcmqrscp_never_takes(tmp_path: Path) -> None:
    """The summary is larger than the archive gives a study: the segmentation is there, and the job ends with the object
    and the archive's own answer as its reason."""
    files = phantom_files(PhantomSpec(slices=12, matrix=128), tmp_path / "series")
    study_uid = str(headers(files)[0].StudyInstanceUID)
    pacs_port, model = free_port(), tiny_bundle(tmp_path / "model")
    with (
        dcmqrscp(tmp_path / "pacs", pacs_port, free_port(), {}, study_size="1mb"),
        # Out of resources may pass: it is believed after a seventh of this.
        Node(tmp_path / "node", f"pacs={PACS_AE_TITLE}@127.0.0.1:{pacs_port}", model, delivery_days=0.0005) as node,
    ):
        node.send(files)
        (job,) = node.ended_jobs()
        assert str(job.state) == "failed"
        explained = " ".join(node.cli("jobs", "explain", job.id).stdout.split())
        assert findscu_series(pacs_port, study_uid, "SEG")
        assert not findscu_series(pacs_port, study_uid, "OT")
    for said in ("pacs", "summary.dcm", "0xA700"):
        assert said in explained
