"""Two visits of one patient through the worker, lesion by lesion; and whatever fails there leaves the result whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from support.models import tiny_bundle
from support.phantoms import phantom_files
from support.results import outbox_of
from support.worker_setting import READER, Setting

from db.scans import ScanTable
from dicom_node.analyse.follow_up.finder import FollowUps
from dicom_node.analyse.follow_up.lesion_comparer import LIMITS, LesionComparer
from dicom_node.analyse.follow_up.patient_key import open_hasher
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import ResultError
from dicom_node.node.outbox import Outbox
from dicom_node.results.seg.own_mask import read_own_mask
from dicom_node.series.read.series import read_series
from segmentation.bundle import load_bundle
from segmentation.ensemble import Ensemble, open_ensemble


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    """A tiny model whose results count as reliable."""
    yield open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("sure"), sure=True)), "openvino")
    READER.close()


def scan(folder: Path, day: date, wmh_ml: float, seed: int = 1) -> list[Path]:
    """A small phantom series of one patient at that day."""
    files = phantom_files(PhantomSpec(slices=12, matrix=64, wmh_ml=wmh_ml, seed=seed), folder, scalp=False)
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.PatientID, dataset.PatientBirthDate = "ZQ-774411", "19480229"
        dataset.AcquisitionDateTime = f"{day:%Y%m%d}101500"
        dataset.StudyDate = dataset.SeriesDate = f"{day:%Y%m%d}"
        dataset.save_as(file, enforce_file_format=True)
    return files


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Two visits, the later with more WMH."""
    folder = tmp_path_factory.mktemp("visits")
    return scan(folder / "early", date(2024, 2, 1), 8.0), scan(folder / "late", date(2025, 3, 1), 30.0)


@pytest.fixture
def setting(tmp_path: Path, ensemble: Ensemble) -> Iterator[Setting]:
    made = Setting(tmp_path, ensemble)
    with closing(made.database):
        yield made


def follow(setting: Setting, early: list[Path], late: list[Path], limits: Limits = LIMITS, lost: str = "") -> Any:
    """Both visits through a worker that compares lesions; `lost` names what is removed between the two."""
    comparer = LesionComparer(setting.inbox, setting.jobs, Outbox(setting.storage / "outbox"), READER, limits=limits)
    hasher = open_hasher(setting.storage)
    worker = setting.another("worker", FollowUps(ScanTable(setting.database), hasher, comparer))
    try:
        for files in (early, late):
            setting.receive(files)
            job_id = setting.enqueue(files)
            assert worker.work_once()
            if files is early and lost == "images":
                for instance in setting.inbox.instances_of_job(setting.jobs.get(job_id))[3:]:
                    (setting.storage / instance.path).unlink()
            if files is early and lost == "segmentation":
                (outbox_of(setting.storage, job_id) / "seg.dcm").write_bytes(b"no SEG")
    finally:
        comparer.close()
    job = setting.jobs.get(job_id)
    assert job.measurements is not None, job.reason
    return job.measurements, job_id


@pytest.mark.slow
def test_the_later_result_says_what_became_of_each_lesion(
    setting: Setting, visits: tuple[list[Path], list[Path]]
) -> None:
    """Counts, mL and images of the lesions; pages and report hold them; what was gained and lost adds up."""
    measured, job_id = follow(setting, *visits)
    lesions = measured["follow_up"]["lesions"]
    assert lesions["registration_correlation"] > 0.8 and lesions["list"]
    assert sum(lesions[kind]["count"] for kind in ("new", "grown", "stable", "shrunk", "gone")) == len(lesions["list"])
    changed = sum(lesion["now_ml"] - lesion["earlier_ml"] for lesion in lesions["list"])
    assert changed == pytest.approx(measured["follow_up"]["change_ml"], abs=0.15 * measured["wmh_volume_ml"])
    assert all(lesion["image"].startswith("image ") for lesion in lesions["list"])
    report = pydicom.dcmread(outbox_of(setting.storage, job_id) / "sr.dcm")
    said = [item.value for item in report.iterall() if item.keyword == "TextValue"]
    assert any(text.startswith("Lesions since then: ") for text in said)
    assert not list((setting.storage / "outbox").rglob("*.npz"))  # what the child was given is gone


@pytest.mark.parametrize(
    ("lost", "limits", "code"),
    [
        ("images", LIMITS, "images_gone"),
        ("segmentation", LIMITS, "images_unreadable"),
        ("", replace(LIMITS, memory_bytes=1024**2), "registration_failed"),
    ],
)
@pytest.mark.slow
def test_what_fails_is_said_and_the_volumes_stay(
    setting: Setting, visits: tuple[list[Path], list[Path]], lost: str, limits: Limits, code: str
) -> None:
    """Purged images, a damaged segmentation, and a comparison that takes too much: the volume and its change are
    delivered, and why no lesion is compared."""
    measured, job_id = follow(setting, *visits, limits=limits, lost=lost)
    assert measured["follow_up"]["lesions_not_compared"]["code"] == code
    assert "lesions" not in measured["follow_up"] and measured["follow_up"]["change_ml"] != 0
    assert (outbox_of(setting.storage, job_id) / "sr.dcm").is_file()


def test_the_mask_of_a_result_comes_back_voxel_by_voxel(
    setting: Setting, visits: tuple[list[Path], list[Path]]
) -> None:
    """The SEG's mask on the series' grid holds the volume that was reported; that of another series is refused."""
    early, late = visits
    setting.receive(early)
    job_id = setting.enqueue(early)
    assert setting.worker.work_once()
    series = read_series(early)
    file = outbox_of(setting.storage, job_id) / "seg.dcm"
    mask = read_own_mask(file, series)
    measured = setting.jobs.get(job_id).measurements or {}
    assert np.count_nonzero(mask) * series.volume().voxel_volume_ml == pytest.approx(measured["wmh_volume_ml"])
    with pytest.raises(ResultError, match="of other images"):
        read_own_mask(file, read_series(late))
