"""End to end with a real Orthanc: it sends a real FLAIR series to the node and gets SEG and SR back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from support.data import shared_data
from support.dicom_series import series_from_nifti
from support.models import tiny_bundle
from support.node import AE_TITLE, SOON_INCOMPLETE_SECONDS, Node, run_cli
from support.orthanc import AE_TITLE as ORTHANC
from support.orthanc import AUTOROUTING, Orthanc, orthanc
from support.phantoms import phantom_files
from support.processes import free_port, until
from support.results import check_refers_to, headers, outbox_of
from support.whole_study import REASONS, other_objects

from db.deliveries import DeliveryTable
from db.engine import open_database
from db.inbox import Inbox
from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.peer("Orthanc"), pytest.mark.slow, pytest.mark.timeout(600)]

WITHOUT_TIMES = ("seconds",)


def _store(server: Orthanc, files: list[Path]) -> None:
    run_cli("send", *files, "--to", f"{ORTHANC}@127.0.0.1:{server.dicom_port}")


def _fetch(server: Orthanc, study_uid: str, modality: str, source_uid: str) -> list[pydicom.Dataset]:
    """The instances of that modality in the study that refer to the series."""
    found = []
    for series in server.find("Series", StudyInstanceUID=study_uid, Modality=modality):
        for instance in server.get(f"/series/{series}")["Instances"]:
            found.append(pydicom.dcmread(io.BytesIO(server.get_bytes(f"/instances/{instance}/file"))))
    return [dataset for dataset in found if source_uid in dataset.to_json()]


def _same(first: dict, second: dict) -> None:
    for measurements in (first, second):
        for key in WITHOUT_TIMES:
            measurements.pop(key)
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


@pytest.mark.parametrize(
    ("scan", "every", "enhanced", "attempts"),
    [
        (("flair-wmh", "101228", "flair.nii.gz"), 1, False, 1),
        (("flair-unlabelled", "openms_patient01_study1.nii.gz"), 2, False, 1),
        (("flair-wmh", "105911", "flair.nii.gz"), 2, True, 2),
    ],
    ids=["labelled", "other-scanner", "enhanced"],
)
def test_orthanc_routes_a_series_and_gets_seg_and_sr(
    scan: tuple[str, ...], every: int, enhanced: bool, attempts: int, tmp_path: Path
) -> None:
    """A real FLAIR, routed by Orthanc on its own rule, comes back to Orthanc as SEG and SR of the right frames; and
    `wmh-node segment` on the same files measures the same, bit for bit, for one of them twice."""
    files = series_from_nifti(shared_data(*scan), tmp_path / "series", every=every, enhanced=enhanced)
    source = headers(files)
    study_uid, series_uid = str(source[0].StudyInstanceUID), str(source[0].SeriesInstanceUID)
    pacs_port = free_port()
    with (
        Node(tmp_path / "node", f"pacs={ORTHANC}@127.0.0.1:{pacs_port}") as node,
        orthanc(
            tmp_path / "orthanc", {"wmhnode": (AE_TITLE, node.port)}, lua=AUTOROUTING, dicom_port=pacs_port
        ) as server,
    ):
        _store(server, files)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        segs = _fetch(server, study_uid, "SEG", series_uid)
        (sr,) = _fetch(server, study_uid, "SR", series_uid)
        assert len(segs) == 2  # of the WMH; of their regions and the ventricles
        check_refers_to(segs, sr, source)
        served = json.loads((outbox_of(node.storage, job.id) / "measurements.json").read_text())
    assert served["series_instance_uid"] == series_uid
    for attempt in range(attempts):
        answer = run_cli("segment", tmp_path / "series", "--out", tmp_path / f"again-{attempt}", "--json")
        _same(dict(served), json.loads(answer.stdout))


def test_a_study_is_sorted_out(tmp_path: Path) -> None:
    """A whole study, with reports and screen shots in it, goes in one job of an Orthanc that gives up at the first
    refusal: its FLAIR is analysed, and each other series ends as rejected with a reason and gets no answer. The study
    sent again, our results in it, makes nothing new."""
    flair = phantom_files(PhantomSpec(slices=24), tmp_path / "flair")
    others = other_objects(flair, tmp_path / "others")
    pacs_port, model = free_port(), tiny_bundle(tmp_path / "model")
    soon = SOON_INCOMPLETE_SECONDS
    with (
        Node(tmp_path / "node", f"pacs={ORTHANC}@127.0.0.1:{pacs_port}", model, quiet_seconds_incomplete=soon) as node,
        orthanc(tmp_path / "orthanc", {"wmhnode": (AE_TITLE, node.port)}, dicom_port=pacs_port) as server,
    ):
        _store(server, [*others, *flair])
        (study,) = until(lambda: server.get("/studies"), "the study in Orthanc")
        sent = server.post("/modalities/wmhnode/store", {"Resources": [study], "Permissive": False})
        assert (sent["InstancesCount"], sent["FailedInstancesCount"]) == (len(flair) + len(others), 0)
        jobs = node.ended_jobs(1 + len(REASONS))
        (done,) = [job for job in jobs if str(job.state) == "done"]
        assert done.series_instance_uid == str(headers(flair)[0].SeriesInstanceUID)
        rejected = [job for job in jobs if str(job.state) == "rejected"]
        assert {job.reason for job in rejected} == REASONS
        deliveries = DeliveryTable(open_database(node.database_url))
        assert not any(deliveries.list(job.id) for job in rejected)
        server.post("/modalities/wmhnode/store", {"Resources": [study], "Permissive": False})
        until(lambda: "own result came back" in node.log.read_text(), "our report seen again", 60, node.log)
        until(lambda: not Inbox(open_database(node.database_url)).open_series(), "every series closed", 60, node.log)
        assert [job.id for job in node.ended_jobs(len(jobs))] == [job.id for job in jobs]
