"""End to end with a real Orthanc: it sends a real FLAIR series to the node and gets SEG and SR back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pydicom
import pytest
from support.data import shared_data
from support.dicom_series import series_from_nifti
from support.node import AE_TITLE, Node, run_cli
from support.orthanc import AE_TITLE as ORTHANC
from support.orthanc import AUTOROUTING, Orthanc, orthanc
from support.processes import free_port, until
from support.results import check_refers_to, headers, outbox_of

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
    return [one for one in found if source_uid in one.to_json()]


def _same(first: dict, second: dict) -> None:
    for measurements in (first, second):
        for key in WITHOUT_TIMES:
            measurements.pop(key)
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


@pytest.mark.parametrize(
    ("scan", "enhanced"),
    [
        (("flair-wmh", "101228", "flair.nii.gz"), False),
        (("flair-unlabelled", "openms_patient01_study1.nii.gz"), False),
        (("flair-wmh", "105911", "flair.nii.gz"), True),
    ],
    ids=["labelled", "other-scanner", "enhanced"],
)
def test_orthanc_routes_a_series_and_gets_seg_and_sr(scan: tuple[str, ...], enhanced: bool, tmp_path: Path) -> None:
    """A real FLAIR, routed by Orthanc on its own rule, comes back to Orthanc as SEG and SR of the right frames; and
    `wmh-node segment` on the same files measures the same, bit for bit, twice."""
    files = series_from_nifti(shared_data(*scan), tmp_path / "series", enhanced=enhanced)
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
    for attempt in ("first", "second"):
        answer = run_cli("segment", tmp_path / "series", "--out", tmp_path / attempt, "--json")
        _same(dict(served), json.loads(answer.stdout))


def test_a_study_is_sorted_out(tmp_path: Path) -> None:
    """Of a whole study only the FLAIR series is analysed; the others end as rejected, with a reason; asked for by hand
    through Orthanc's REST interface."""
    flair = series_from_nifti(shared_data("flair-wmh", "105911", "flair.nii.gz"), tmp_path / "flair")
    others = sorted(path for path in shared_data("dicom", "dcm_qa_ts").rglob("*.dcm"))[:1]
    pacs_port = free_port()
    with (
        Node(tmp_path / "node", f"pacs={ORTHANC}@127.0.0.1:{pacs_port}") as node,
        orthanc(tmp_path / "orthanc", {"wmhnode": (AE_TITLE, node.port)}, dicom_port=pacs_port) as server,
    ):
        _store(server, [*flair, *others])
        studies = until(lambda: server.get("/studies"), "studies in Orthanc")
        assert len(studies) == 2
        server.post("/modalities/wmhnode/store", studies)
        jobs = node.ended_jobs(2)
    by_state = {str(job.state): job for job in jobs}
    assert sorted(by_state) == ["done", "rejected"]
    assert by_state["done"].series_instance_uid == str(headers(flair)[0].SeriesInstanceUID)
    assert len(by_state["rejected"].reason) > 10
