"""End to end: one patient at two dates in both orders, and a series that cannot be analysed; what a PACS then holds."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.models import tiny_bundle
from support.node import SOON_INCOMPLETE_SECONDS, Node
from support.phantoms import phantom_files
from support.processes import free_port, until
from support.results import outbox_of
from support.scp import RecordingScp, send_slowly

from dicom_node.demo.phantom.phantom import PhantomSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECRETS = ("ZQ-774411", "ZQ-774412", "Zwetschge", "Quitta", "19480229", "1948-02-29")


def scan(folder: Path, patient_id: str, day: date, wmh_ml: float, seed: int = 1) -> list[Path]:
    """A small phantom series of that patient at that day."""
    files = phantom_files(PhantomSpec(slices=12, matrix=64, wmh_ml=wmh_ml, seed=seed), folder, scalp=False)
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate = patient_id, "Zwetschge^Quitta", "19480229"
        dataset.AcquisitionDateTime = f"{day:%Y%m%d}101500"
        dataset.StudyDate = dataset.SeriesDate = f"{day:%Y%m%d}"
        dataset.save_as(file, enforce_file_format=True)
    return files


def as_t1(files: list[Path], folder: Path) -> list[Path]:
    """The same images under the names and timing of a T1 series."""
    folder.mkdir()
    made = []
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.SeriesDescription = dataset.ProtocolName = "t1_se_tra"
        dataset.SeriesInstanceUID = f"{dataset.SeriesInstanceUID}.1"[:64]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID[:60]}.1"
        dataset.EchoTime, dataset.InversionTime = "12", None
        made.append(folder / file.name)
        dataset.save_as(made[-1], enforce_file_format=True)
    return made


def test_follow_up_and_refusal_reach_the_pacs(tmp_path: Path) -> None:
    """The later report states the change only where the earlier scan was analysed first; a FLAIR with a gap gets a
    report and a page, a T1 nothing; and no log line or row holds a word of the patient."""
    early = scan(tmp_path / "early", "ZQ-774411", date(2024, 2, 1), 8.0)
    late = scan(tmp_path / "late", "ZQ-774411", date(2025, 3, 1), 30.0)
    other_late = scan(tmp_path / "other late", "ZQ-774412", date(2025, 3, 1), 30.0, seed=2)
    other_early = scan(tmp_path / "other early", "ZQ-774412", date(2024, 2, 1), 8.0, seed=2)
    gap = scan(tmp_path / "gap", "ZQ-774411", date(2026, 4, 1), 20.0)
    del gap[5]
    orders = [early, late, other_late, other_early, gap, as_t1(early, tmp_path / "t1")]
    model = tiny_bundle(tmp_path / "model", sure=True)
    soon = SOON_INCOMPLETE_SECONDS
    with (
        RecordingScp(free_port()) as pacs,
        Node(tmp_path / "node", f"pacs=TESTPACS@127.0.0.1:{pacs.port}", model, quiet_seconds_incomplete=soon) as node,
    ):
        for number, files in enumerate(orders, start=1):
            assert set(send_slowly(files, node.port, pause_seconds=0.0)) == {0x0000}
            jobs = node.ended_jobs(number)
        explained = node.cli("jobs", "explain", jobs[4].id).stdout
        until(lambda: len(pacs.of_modality("SR")) >= 5, "the answer in the PACS", 120, node.log)
        told = {(str(dataset.SeriesInstanceUID), dataset.Modality) for dataset in pacs.datasets}
        reports = {str(dataset.StudyInstanceUID): dataset for dataset in pacs.of_modality("SR")}
    assert [str(job.state) for job in jobs] == ["done"] * 4 + ["rejected"] * 2, [job.reason for job in jobs]
    changes = [(job.measurements or {}).get("follow_up") for job in jobs]
    assert [change is not None for change in changes] == [False, True, False, False, False, False]
    assert changes[1]["earlier_acquired_on"] == "2024-02-01"
    written = json.loads((outbox_of(node.storage, jobs[1].id) / "measurements.json").read_text())
    assert written["follow_up"] == changes[1]

    report = reports[jobs[1].study_instance_uid]
    assert any(text.startswith("Compared with the scan of 2024-02-01") for text in _said(report))
    (study,) = report.PertinentOtherEvidenceSequence
    assert study.StudyInstanceUID == jobs[0].study_instance_uid
    earlier = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert earlier == reports[jobs[0].study_instance_uid].SOPInstanceUID

    refusal = reports[jobs[4].study_instance_uid]
    assert f"Not analysed: {jobs[4].reason}" in _said(refusal)
    assert len([entry for entry in told if entry[1] == "SR"]) == 5  # four results and one answer, none for the T1
    assert "slices_missing" in explained and "pacs: " in explained

    log = node.log.read_text()
    database = b"".join(file.read_bytes() for file in node.folder.glob("node.sqlite*") if file.is_file())
    assert "job rejected" in log
    for secret in SECRETS:
        assert secret not in log and secret.encode() not in database


def _said(report: Dataset) -> list[str]:
    return [item.value for item in report.iterall() if item.keyword == "TextValue"]
