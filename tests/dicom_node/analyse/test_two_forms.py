"""`ohif` and `generic` together: one analysis in two forms, and which earlier report each is referred to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.phantoms import phantom_files
from support.worker_setting import READER, Setting

from db.deliveries import DeliveryTable
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.profiles import PROFILES, DeliveryOptions
from segmentation.ensemble import Ensemble

pytestmark = pytest.mark.slow

DESTINATIONS = {name: DeliveryOptions(PROFILES[name]) for name in ("generic", "ohif")}
ODD, EVEN = 65, 64  # rows and columns: only the frames of 64 x 64 bits end at a byte


@pytest.fixture(scope="module", autouse=True)
def _close_reader() -> Iterator[None]:
    yield
    READER.close()


@pytest.fixture
def setting(tmp_path: Path, sure_ensemble: Ensemble) -> Iterator[Setting]:
    """A worker with both destinations."""
    made = Setting(tmp_path, sure_ensemble, destinations=DESTINATIONS)
    with closing(made.database):
        yield made


def series_of(folder: Path, matrix: int, day: date = date(2024, 2, 1)) -> list[Path]:
    """A small phantom series of one patient at that day."""
    files = phantom_files(PhantomSpec(seed=day.year, slices=12, matrix=matrix), folder, scalp=False)
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.PatientID = "ZQ-774411"
        dataset.AcquisitionDateTime = f"{day:%Y%m%d}101500"
        dataset.StudyDate = dataset.SeriesDate = f"{day:%Y%m%d}"
        dataset.save_as(file, enforce_file_format=True)
    return files


def localizer_of(series: list[Path], folder: Path) -> list[Path]:
    """Three images of another plane and size, in the series of the FLAIR."""
    made = []
    for file in series[:3]:
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID}.2"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.Rows = dataset.Columns = EVEN
        dataset.PixelData = bytes(2 * EVEN * EVEN)
        made.append(folder / f"localizer-{file.name}")
        dataset.save_as(made[-1], enforce_file_format=True)
    return made


def sent(setting: Setting, files: list[Path]) -> dict[str, Dataset]:
    """Take a job about what came of the series through the worker; the report that each destination has now."""
    job_id = setting.enqueue(files)
    assert setting.worker.work_once()
    reports = {
        delivery.destination: pydicom.dcmread(setting.storage / file)
        for delivery in setting.deliveries(job_id)
        for file in delivery.files
        if Path(file).name.startswith("sr")
    }
    sending = DeliveryTable(setting.database)
    while (delivery := sending.claim("sender", 60)) is not None:
        sending.sent(delivery.id, "sender")
    assert reports.keys() == DESTINATIONS.keys()
    return reports


def named(report: Dataset, keyword: str) -> list[str]:
    """SOPInstanceUIDs of the reports that a sequence of references names."""
    return [
        item.ReferencedSOPInstanceUID
        for study in report.get(keyword, [])
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]


def uids(reports: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [report.SOPInstanceUID] for name, report in reports.items()}


@pytest.mark.parametrize("localizer_first", [False, True])
def test_a_result_names_the_answer_that_the_destination_was_sent(
    setting: Setting, tmp_path: Path, localizer_first: bool
) -> None:
    """A slice is missing, then comes: each is referred to the report with the reason, also where images of another
    size came before those of the FLAIR."""
    flair = series_of(tmp_path / "series", ODD)
    setting.receive([*(localizer_of(flair, tmp_path) if localizer_first else []), *flair[:5], *flair[6:]])
    told = sent(setting, flair)
    setting.receive([flair[5]])
    found = sent(setting, flair)
    assert {name: named(dataset, "PredecessorDocumentsSequence") for name, dataset in found.items()} == uids(told)
    assert found["ohif"].SOPInstanceUID != found["generic"].SOPInstanceUID


@pytest.mark.parametrize(("then", "now"), [(ODD, ODD), (EVEN, ODD), (ODD, EVEN)])
def test_a_follow_up_names_the_earlier_report_that_the_destination_was_sent(
    setting: Setting, tmp_path: Path, then: int, now: int
) -> None:
    """Two scans of one patient, whatever their sizes. Where both destinations are sent one report now, and were sent
    two forms then, it names its own form (docs/adr/0011)."""
    early, late = series_of(tmp_path / "1", then), series_of(tmp_path / "2", now, date(2025, 3, 1))
    setting.receive(early)
    earlier = uids(sent(setting, early))
    setting.receive(late)
    found = sent(setting, late)
    if (then, now) == (ODD, EVEN):
        assert found["ohif"].SOPInstanceUID == found["generic"].SOPInstanceUID
        earlier["ohif"] = earlier["generic"]
    assert {name: named(dataset, "PertinentOtherEvidenceSequence") for name, dataset in found.items()} == earlier
