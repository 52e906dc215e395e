"""A series with images of several patients, on a real database with a real outbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from support.dicom_series import small_scan, write_scan
from support.worker_setting import READER, Setting

from db.job_states import JobState
from dicom_node.results.profiles import PROFILES, Wish
from segmentation.ensemble import Ensemble

FIRST, SECOND = "SECRETID-1", "SECRETID-2"


@pytest.fixture(autouse=True)
def _close_reader() -> Iterator[None]:
    yield
    READER.close()


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "a slice missing"])
def test_nobody_is_told_of_a_series_of_several_patients(
    damaged: bool, tmp_path: Path, tiny_ensemble: Ensemble, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither result nor answer reaches a PACS under a patient who may be the wrong one; the job says why."""
    files = write_scan(small_scan(), tmp_path / "series", patient_id=FIRST)
    for file in files[4:]:
        instance = pydicom.dcmread(file)
        instance.PatientID = SECOND
        instance.save_as(file)
    files = files[:5] + files[6:] if damaged else files
    setting = Setting(tmp_path, tiny_ensemble, destinations={"pacs": Wish(PROFILES["generic"])})
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
        assert "nobody knows whose it is" in told
        assert "SECRET" not in told
