"""The result set as a whole."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from support.data import REPOSITORY
from support.result_cases import ANALYSED_AT, CASES, MODEL, Case, result_set_of, segmentation_of, series_of
from support.results import check_refers_to, headers

from dicom_node.node.errors import ResultError
from dicom_node.results import result_set as module
from dicom_node.results.result_set import build_result_set, part10_bytes, write_result_set
from dicom_node.series.read.series import FlairSeries
from segmentation.boxed import BoxedMask
from segmentation.bundle import ModelIdentity

pytestmark = pytest.mark.slow

_ANOTHER_PROCESS = """
import hashlib, sys
from pathlib import Path
from dicom_node.series.read.series import read_series
from dicom_node.results.result_set import part10_bytes
from support.result_cases import result_set_of, segmentation_of
series = read_series(sorted(Path(sys.argv[1]).iterdir()))
result = result_set_of(series, segmentation_of(series))
print(*(hashlib.sha256(part10_bytes(one)).hexdigest() for one in (result.seg, result.sr)))
"""


def digests(series: FlairSeries) -> list[str]:
    """sha256 of SEG and SR as files."""
    result = result_set_of(series, segmentation_of(series))
    return [hashlib.sha256(part10_bytes(dataset)).hexdigest() for dataset in (result.seg, result.sr)]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    """Building a result set again, a second later, gives the same bytes: no clock and no chance is in it."""
    series = series_of(case, tmp_path)
    first = digests(series)
    time.sleep(1.01 if case is CASES[0] else 0.0)
    assert digests(series) == first


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    """A worker that starts again after a crash, with other hash seeds, gives the same bytes."""
    expected = digests(series_of(CASES[0], tmp_path))
    path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "tests")))
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _ANOTHER_PROCESS, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == expected


def test_written_files_are_what_was_built(tmp_path: Path) -> None:
    """sr.dcm comes behind what it refers to, all are complete DICOM files, and nothing else stays in the folder."""
    series = series_of(CASES[0], tmp_path / "source")
    folder = tmp_path / "results"
    folder.mkdir()
    result = result_set_of(series, segmentation_of(series))
    files = write_result_set(result, folder)
    assert (files[0], files[-1]) == (folder / "seg.dcm", folder / "sr.dcm")
    assert sorted(folder.iterdir()) == sorted(files)
    assert [file.read_bytes() for file in files] == [part10_bytes(obj.dataset) for obj in result.objects]
    assert [pydicom.dcmread(file).SOPInstanceUID for file in files] == [
        obj.dataset.SOPInstanceUID for obj in result.objects
    ]


def test_both_belong_to_the_sources_study_in_series_of_their_own(tmp_path: Path) -> None:
    """SEG and SR have the source's study and patient, and a series each, with numbers behind the source's."""
    series = series_of(CASES[0], tmp_path)
    result = result_set_of(series, segmentation_of(series))
    for dataset in (result.seg, result.sr):
        assert dataset.StudyInstanceUID == series.study_instance_uid
        assert dataset.PatientID == series.headers[0].PatientID
        assert (dataset.ContentDate, dataset.ContentTime) == (dataset.SeriesDate, dataset.SeriesTime)
    assert len({series.series_instance_uid, result.seg.SeriesInstanceUID, result.sr.SeriesInstanceUID}) == 3
    assert (result.seg.SeriesNumber, result.sr.SeriesNumber) == (1901, 1902)


def test_a_uid_stands_for_what_the_object_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another runtime, precision or software version is another object under another UID; another time of the same
    analysis is not."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)

    def uids(runtime: str = "openvino", precision: str = "f32", at: datetime = ANALYSED_AT) -> set[str]:
        result = build_result_set(series, segmentation, MODEL, runtime, precision, at)
        return {
            str(dataset[key].value)
            for dataset in (result.seg, result.sr)
            for key in ("SOPInstanceUID", "SeriesInstanceUID")
        }

    first = uids()
    assert uids(at=ANALYSED_AT + timedelta(days=1)) == first
    assert not uids(runtime="tensorflow") & first
    assert not uids(precision="bf16") & first
    monkeypatch.setattr(module, "SOFTWARE_VERSION", "99.0")
    assert not uids() & first


@pytest.mark.parametrize("number", [None, 0, -4, 2_100_000_000])
def test_odd_series_numbers_are_survived(number: int | None, tmp_path: Path) -> None:
    """A source without a usable SeriesNumber gives results with a legal one (IS, PS3.5 6.2)."""
    series = series_of(CASES[0], tmp_path)
    for header in series.headers:
        header.SeriesNumber = number
    result = result_set_of(series, segmentation_of(series))
    assert (result.seg.SeriesNumber, result.sr.SeriesNumber) == (9901, 9902)


def test_the_device_changes_with_the_model(tmp_path: Path) -> None:
    """Contributing Equipment names this software with a Device UID that is another one for another model (IHE AIR)."""
    series = series_of(CASES[0], tmp_path)
    other = ModelIdentity(MODEL.name, "0.2.0", "6c" * 32)
    devices = set()
    for model in (MODEL, other):
        result = result_set_of(series, segmentation_of(series), model=model)
        for dataset in (result.seg, result.sr):
            node, scanner = dataset.ContributingEquipmentSequence
            assert node.Manufacturer
            assert node.ManufacturerModelName == "wmh-node"
            assert node.SoftwareVersions[1] == f"{model.name} {model.version}"
            assert node.DeviceUID == dataset.DeviceUID
            assert node.ContributionDateTime.startswith("2026")
            assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        devices.add(str(result.seg.DeviceUID))
    assert len(devices) == 2


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A segmentation that is not of this series is an error that says what was expected, not a wrong result."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    wrong = replace(segmentation, kept_mask=BoxedMask.of(segmentation.mask[:, :-1]))
    with pytest.raises(ResultError, match="expected a mask of shape"):
        build_result_set(series, wrong, MODEL, "openvino", "f32", ANALYSED_AT)


def test_an_unknown_threshold_is_absent(tmp_path: Path) -> None:
    """What the caller does not state is not invented."""
    series = series_of(CASES[0], tmp_path)
    result = build_result_set(series, segmentation_of(series), MODEL, "openvino", "f32", ANALYSED_AT)
    assert "threshold" not in str(result.seg)
    assert "threshold" not in str(result.sr)


@pytest.mark.parametrize("case", [CASES[1], CASES[4]], ids=str)
def test_results_refer_to_their_source_and_to_nothing_else(case: Case, tmp_path: Path) -> None:
    """What the integration tests ask of results that come back from a PACS holds for what is built."""
    series = series_of(case, tmp_path)
    result = result_set_of(series, segmentation_of(series))
    check_refers_to([result.seg], result.sr, headers(sorted(tmp_path.iterdir())))
