"""One patient at two dates through the worker: what the later report says of the earlier, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.databases import PostgresServer, postgres_server, with_schema
from support.phantoms import phantom_files
from support.results import outbox_of
from support.worker_setting import READER, Setting

from db.records import Job
from dicom_node.demo.phantom.phantom import PhantomSpec
from segmentation.ensemble import Ensemble

# The patient's identifiers, as no line and no file of ours may hold them but the results.
PATIENT = {"PatientID": "ZQ-774411", "PatientName": "Zwetschge^Quitta", "PatientBirthDate": "19480229"}


def scan(folder: Path, day: date, wmh_ml: float, **elements: str) -> list[Path]:
    """A small phantom series of the patient at that day."""
    files = phantom_files(PhantomSpec(slices=12, matrix=64, wmh_ml=wmh_ml), folder, scalp=False)
    for file in files:
        dataset = pydicom.dcmread(file)
        for keyword, value in {**PATIENT, **elements}.items():
            setattr(dataset, keyword, value)
        dataset.AcquisitionDateTime = f"{day:%Y%m%d}101500"
        dataset.StudyDate = dataset.SeriesDate = f"{day:%Y%m%d}"
        dataset.save_as(file, enforce_file_format=True)
    return files


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The earlier scan."""
    return scan(tmp_path_factory.mktemp("early"), date(2024, 2, 1), 8.0)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The later scan, with more WMH and another echo time."""
    return scan(tmp_path_factory.mktemp("late"), date(2025, 3, 1), 30.0, EchoTime="130")


@pytest.fixture(scope="module", autouse=True)
def _close_reader() -> Iterator[None]:
    yield
    READER.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of these tests."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def setting(request: pytest.FixtureRequest, tmp_path: Path, sure_ensemble: Ensemble) -> Iterator[Setting]:
    """A worker with one destination."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
        with_schema(url)
    made = Setting(tmp_path, sure_ensemble, url)
    with closing(made.database):
        yield made


def analysed(setting: Setting, files: list[Path]) -> Job:
    """Receive a series and take its job through the worker."""
    setting.receive(files)
    job_id = setting.enqueue(files)
    assert setting.worker.work_once()
    job = setting.jobs.get(job_id)
    assert job.measurements is not None, job.reason
    return job


def report_of(setting: Setting, job: Job) -> Dataset:
    return pydicom.dcmread(outbox_of(setting.storage, job.id) / "sr.dcm")


def said(report: Dataset) -> list[str]:
    return [item.value for item in report.iterall() if item.keyword == "TextValue"]


@pytest.mark.slow
def test_the_later_report_tells_the_change(
    setting: Setting, early: list[Path], late: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """Change, both intervals, the earlier report, a warning of the echo time; explained in words; and neither a log
    line nor a row holds the patient's name, identifier or date of birth."""
    first, second = analysed(setting, early), analysed(setting, late)
    assert first.measurements is not None and second.measurements is not None and first.report is not None
    assert "follow_up" not in first.measurements
    found: dict[str, Any] = dict(second.measurements["follow_up"])
    volumes = first.measurements["wmh_volume_ml"], second.measurements["wmh_volume_ml"]
    assert found["change_ml"] == pytest.approx(volumes[1] - volumes[0]) and volumes[0] != volumes[1]
    assert found["earlier_volume_interval_ml"] == first.measurements["volume_interval_ml"]
    assert (found["earlier_acquired_on"], found["days"]) == ("2024-02-01", 394)
    assert found["earlier_report_sop_instance_uid"] == first.report["SOPInstanceUID"]
    assert len(found["warnings"]) == 1 and "echo time 130 ms" in found["warnings"][0]
    report = report_of(setting, second)
    (other,) = report.PertinentOtherEvidenceSequence
    assert other.StudyInstanceUID == first.report["StudyInstanceUID"]
    assert any(text.startswith("Compared with the scan of 2024-02-01") for text in said(report))
    events = [event.detail for job in (first, second) for event in setting.jobs.events(job.id)]
    assert "compared with a scan 394 days earlier" in events[-1]
    with setting.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM scans").fetchall()
    lines = "".join([*capfd.readouterr(), str(rows), str(events), json.dumps(second.measurements)])
    assert "result set written" in lines and len(rows) == 2
    for value in ("ZQ-774411", "Zwetschge", "Quitta", "19480229", "1948-02-29"):
        assert value not in lines
    assert report.PatientID == PATIENT["PatientID"]


@pytest.mark.slow
def test_another_attempt_gives_the_same_bytes(
    setting: Setting, early: list[Path], late: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies with its result in the outbox; another scan between the two dates is analysed meanwhile; the next
    worker's result is the same, and says the same of the first scan."""
    analysed(setting, early)
    setting.receive(late)
    job_id = setting.enqueue(late)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(setting.jobs, "deliver", die)
        with pytest.raises(KeyboardInterrupt):
            setting.worker.work_once()
    left = (outbox_of(setting.storage, job_id) / "sr.dcm").read_bytes()
    between = scan(tmp_path / "between", date(2024, 8, 1), 12.0)
    assert "follow_up" in (analysed(setting, between).measurements or {})
    setting.jobs.put_back(job_id, "worker", "its lease ran out", 0.0)
    assert setting.another("second").work_once()
    newest = setting.storage / "outbox" / str(job_id) / "2" / "sr.dcm"
    assert newest.read_bytes() == left
    assert (setting.jobs.get(job_id).measurements or {})["follow_up"]["earlier_acquired_on"] == "2024-02-01"
