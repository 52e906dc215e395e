"""SEG and SR before the real validators: dciodvfy, dcentvfy, dsrdump."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest
from support.data import shared_data
from support.dicom_series import scan_from_nifti, write_scan
from support.peers import peer
from support.result_cases import CASES, Case, result_set_of, segmentation_of, series_of

from dicom_node.reading.series import FlairSeries, read_series
from dicom_node.results.predecessor import ReportReference
from dicom_node.results.result_set import write_result_set
from segmentation.regions import RegionRule

# A source without a study date cannot give one to its results.
NOTHING_FOR_DICOMDIR = "Missing attribute or value that would be needed to build DICOMDIR"
# dcentvfy takes AccessionNumber for an attribute of the study in SR, and of the series elsewhere.
ACCESSION_NUMBER_QUIRK = "Element=<AccessionNumber> IE <Series> versus <Study>"

# dciodvfy (dicom3tools 20220618) is older than what it complains about, or asks for what no private scheme can give:
# Device UID in Contributing Equipment (PS3.3 Table C.12-1, since 2021; IHE AIR demands it), and its list of schemes.
EXPECTED_WARNINGS = (
    "ContributingEquipmentSequence(0018,a001)[1]/DeviceUID(0018,1002)> - Attribute is not present in standard DICOM",
    "Unrecognized defined term = <99WMHNODE>",
)

DIRTY = {
    "StudyID": None,
    "AccessionNumber": None,
    "ReferringPhysicianName": None,
    "StudyDate": "2024.1.5",
    "PatientBirthDate": "19001399",
    "StudyTime": "25:00",
    "PatientSex": "Male",
    "PatientAge": "45",
    "PatientWeight": "",
}


REQUIRED_BUT_BROKEN = ("StudyID", "AccessionNumber", "StudyDate", "StudyTime", "PatientBirthDate", "PatientSex")


def written(series: FlairSeries, folder: Path, *, empty: bool = False) -> list[Path]:
    """SEG and SR of a series as files."""
    folder.mkdir(exist_ok=True)
    flags = ("blank_slices",)
    return write_result_set(result_set_of(series, segmentation_of(series, empty=empty, flags=flags)), folder)


def complaints(file: Path) -> list[str]:
    """What dciodvfy finds wrong, but for what is expected."""
    done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if line.startswith(("Error", "Warning"))]
    assert done.returncode == (1 if any(line.startswith("Error") for line in found) else 0), lines
    return [line for line in found if not any(expected in line for expected in EXPECTED_WARNINGS)]


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dciodvfy_has_nothing_to_say(case: Case, tmp_path: Path) -> None:
    """dciodvfy reports no error and no warning that we could avoid, on either object, for every geometry."""
    series = series_of(case, tmp_path / "source")
    for file in written(series, tmp_path / "results", empty=case.empty):
        assert complaints(file) == [], file.name


@pytest.mark.peer("dciodvfy")
@pytest.mark.peer("dsrdump")
def test_a_report_with_regions_passes_and_is_readable(tmp_path: Path) -> None:
    """The groups of periventricular, deep and ventricles give dciodvfy nothing to say, and dsrdump shows them."""
    series = series_of(CASES[0], tmp_path / "source")
    (tmp_path / "results").mkdir()
    segmentation = segmentation_of(series, divided=RegionRule())
    files = write_result_set(result_set_of(series, segmentation), tmp_path / "results")
    for file in files:
        assert complaints(file) == [], file.name
    report = files[-1]
    done = subprocess.run([peer("dsrdump"), "+Pl", str(report)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for words in ("WMH-PV", "Periventricular", "Deep", "Brain ventricle", "within 10 mm of the ventricles"):
        assert words in done.stdout
    assert segmentation.regions is not None
    assert f'"Volume")="{segmentation.regions.deep_volume_ml:.6f}'.rstrip("0") in done.stdout


@pytest.mark.peer("dciodvfy")
def test_a_successor_passes_dciodvfy(tmp_path: Path) -> None:
    """A report that names its predecessor is as valid as the first one."""
    series = series_of(CASES[0], tmp_path / "source")
    segmentation = segmentation_of(series)
    earlier = ReportReference.to(result_set_of(series, segmentation).sr)
    (tmp_path / "results").mkdir()
    for file in write_result_set(result_set_of(series, segmentation, predecessor=earlier), tmp_path / "results"):
        assert complaints(file) == [], file.name


@pytest.mark.peer("dciodvfy")
@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # the test writes such values on purpose
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_dirty_headers_do_not_reach_the_results(enhanced: bool, tmp_path: Path) -> None:
    """Missing and illegal patient and study attributes of the source give valid results with empty ones."""
    extra = {key: value for key, value in DIRTY.items() if value is not None}
    series = series_of(Case("dirty", enhanced=enhanced), tmp_path / "source", extra=extra)
    for header in series.headers:
        for keyword, value in DIRTY.items():
            if value is None and keyword in header:
                del header[keyword]
    for file in written(series, tmp_path / "results"):
        assert [line for line in complaints(file) if NOTHING_FOR_DICOMDIR not in line] == [], file.name
        result = pydicom.dcmread(file)
        assert all(keyword in result and result[keyword].is_empty for keyword in REQUIRED_BUT_BROKEN)


@pytest.mark.peer("dcentvfy")
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_dcentvfy_finds_one_consistent_study(enhanced: bool, tmp_path: Path) -> None:
    """Source, SEG and SR describe patient, study and frame of reference alike, for dcentvfy."""
    series = series_of(Case("study", enhanced=enhanced), tmp_path / "source")
    files = [*sorted((tmp_path / "source").iterdir()), *written(series, tmp_path / "results")]
    done = subprocess.run([peer("dcentvfy"), *map(str, files)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert [line for line in lines if line.strip() and ACCESSION_NUMBER_QUIRK not in line] == []


@pytest.mark.peer("dsrdump")
def test_dsrdump_prints_the_report(tmp_path: Path) -> None:
    """DCMTK's dsrdump reads the whole content tree and shows the numbers."""
    series = series_of(CASES[0], tmp_path / "source")
    report = written(series, tmp_path / "results")[-1]
    done = subprocess.run([peer("dsrdump"), "+Pl", str(report)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    volume = segmentation_of(series).measures.wmh_volume_ml
    assert f'"Volume")="{volume:.6f}'.rstrip("0").rstrip(".") in done.stdout
    for words in ("Number of lesions", "Uncertainty index", "Referenced Segment", "Research use only"):
        assert words in done.stdout


@pytest.mark.peer("dciodvfy")
@pytest.mark.shared_data
@pytest.mark.parametrize("scan", ["flair-wmh/101228/flair.nii.gz", "flair-unlabelled/openms_patient03_study1.nii.gz"])
def test_real_scans_pass_dciodvfy(scan: str, tmp_path: Path) -> None:
    """Results of real scans, planned oblique, pass as well."""
    tilted = scan_from_nifti(shared_data(*scan.split("/"))).tilted(14).tilted(5, axis=1)
    series = read_series(write_scan(tilted, tmp_path / "source"))
    for file in written(series, tmp_path / "results"):
        assert complaints(file) == [], file.name
