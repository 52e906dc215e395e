"""A series with images of several patients, on a real database with a real outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from support.dicom_series import small_scan, write_scan
from support.received import instance
from support.worker_setting import READER, Setting

from db.records import JobState
from dicom_node.node.profiles import PROFILES, DeliveryOptions
from segmentation.ensemble import Ensemble

WORDS = "the patient is unknown"
FIRST, SECOND = "SECRETID-1", "SECRETID-2"


@pytest.fixture(autouse=True)
def _close_reader() -> Iterator[None]:
    yield
    READER.close()


def of_two_patients(folder: Path) -> list[Path]:
    """A series whose first four images are of one patient, the others of a second one."""
    files = write_scan(small_scan(), folder, patient_id=FIRST)
    for file in files[4:]:
        dataset = pydicom.dcmread(file)
        dataset.PatientID = SECOND
        dataset.save_as(file)
    return files


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "a slice missing"])
@pytest.mark.slow
def test_a_series_of_several_patients_gets_no_refusal_report(
    damaged: bool, tmp_path: Path, tiny_ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither result nor answer reaches a PACS under a patient who may be the wrong one; the job says why."""
    files = of_two_patients(tmp_path / "series")
    files = files[:5] + files[6:] if damaged else files
    setting = Setting(tmp_path, tiny_ensemble, destinations={"pacs": DeliveryOptions(PROFILES["generic"])})
    with closing(setting.database), caplog.at_level("DEBUG"):
        setting.receive(files)
        job_id = setting.enqueue(files)
        assert setting.worker.work_once()
        job = setting.jobs.get(job_id)
        assert (job.state, job.code) == (JobState.REJECTED, "several_patients")
        assert "2 different patient IDs" in job.reason
        assert list(setting.deliveries(job_id)) == []
        assert not (setting.storage / "outbox" / str(job_id)).exists()
        told = f"{job.reason} {[event.detail for event in setting.jobs.events(job_id)]} {caplog.text}"
        assert WORDS in told
        assert "SECRET" not in told


def test_a_damaged_file_hides_no_second_patient(
    tmp_path: Path, tiny_ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that cannot be read refuses the series before its patients are compared: every header that can be read is
    asked whose it is before anything is answered."""
    files = of_two_patients(tmp_path / "series")
    setting = Setting(tmp_path, tiny_ensemble, destinations={"pacs": DeliveryOptions(PROFILES["generic"])})
    with closing(setting.database), caplog.at_level("DEBUG"):
        setting.receive(files)
        receive_damaged(setting, str(pydicom.dcmread(files[0]).SeriesInstanceUID))
        job_id = setting.enqueue(files)
        assert setting.worker.work_once()
        job = setting.jobs.get(job_id)
        assert (job.state, job.code) == (JobState.REJECTED, "not_dicom")
        assert list(setting.deliveries(job_id)) == []
        assert not (setting.storage / "outbox" / str(job_id)).exists()
        told = f"{job.reason} {[event.detail for event in setting.jobs.events(job_id)]} {caplog.text}"
        assert WORDS in told
        assert "SECRET" not in told


def test_a_damaged_file_alone_is_answered(tmp_path: Path, tiny_ensemble: Ensemble) -> None:
    """Where all headers that can be read name one patient, the destination gets a report, under that one."""
    files = write_scan(small_scan(), tmp_path / "series", patient_id=FIRST)
    setting = Setting(tmp_path, tiny_ensemble, destinations={"pacs": DeliveryOptions(PROFILES["generic"])})
    with closing(setting.database):
        receive_damaged(setting, str(pydicom.dcmread(files[0]).SeriesInstanceUID))
        setting.receive(files)
        job_id = setting.enqueue(files)
        assert setting.worker.work_once()
        assert setting.jobs.get(job_id).code == "not_dicom"
        (delivery,) = setting.deliveries(job_id)
        sent = [pydicom.dcmread(setting.storage / file) for file in delivery.files]
        assert [dataset.PatientID for dataset in sent] == [FIRST] * 2


def receive_damaged(setting: Setting, series_instance_uid: str) -> None:
    """One more image of the series, of which nothing can be read."""
    content = b"no DICOM"
    (setting.storage / "damaged").write_bytes(content)
    association = setting.inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
    one = replace(
        instance(series_instance_uid, 99, association),
        path="damaged", sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content),
    )  # fmt: skip
    setting.inbox.record([one])
