"""Every object of every result set before the real validators: dciodvfy, dcentvfy, and dicom-validator's checker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import pydicom
import pytest
from support.dicom_validator import complaints_of
from support.dirty_headers import item
from support.interop import NAMES, WrittenSet
from support.peers import peer
from support.result_cases import CASES, Case, result_set_of, segmentation_of, series_of

from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.result_set import write_result_set
from dicom_node.series.read.series import FlairSeries

# dicom3tools 20220618 and DCMTK 3.6.7 are older than Label Map Segmentation Storage (Supplement 243, 2024): to
# dciodvfy it is no object at all, and to dcentvfy its attributes are of no entity. dicom-validator, highdicom, dcmqi
# and dcmjs know it.
NOT_KNOWN_TO_THE_TOOLS = "-labelmap"

# What dciodvfy warns of, and why it may:
EXPECTED_OF_DCIODVFY = (
    # Device UID in Contributing Equipment is in PS3.3 Table C.12-1 since 2021, and IHE AI Results demands it.
    "ContributingEquipmentSequence(0018,a001)[1]/DeviceUID(0018,1002)> - Attribute is not present in standard DICOM",
    # No standard code exists for what they say (docs/private-codes.md); the scheme is identified in (0008,0110).
    "Unrecognized defined term = <99WMHNODE>",
)
# dcentvfy takes AccessionNumber for an attribute of the study in SR, and of the series elsewhere.
EXPECTED_OF_DCENTVFY = (
    "Element=<AccessionNumber> IE <Series> versus <Study>",
    "Element=<AccessionNumber> IE <Study> versus <Series>",
)
# A source without a study date cannot give one to its results.
NOTHING_FOR_DICOMDIR = "Missing attribute or value that would be needed to build DICOMDIR"

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
    "PatientSize": ["1.7", "1.8"],
    "Manufacturer": "Maker of scanners " * 5,
    "StationName": "AWP-ROOM-2-MAGNETOM",
    "SoftwareVersions": "syngo MR E11 " * 6,
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": "all that names a person was taken out " * 3,
    "DeidentificationMethodCodeSequence": [item(CodeValue="113100", CodingSchemeDesignator="DCM")],
    "OtherPatientIDsSequence": [item(PatientID="OTHER-7"), item()],
    "IssuerOfAccessionNumberSequence": [item()],
}
# What a result repeats because the PACS files by it, though it breaks its value representation or multiplicity.
ILLEGAL_IDENTITY = {
    "PatientName": "Nemo" * 17 + "^Captain",
    "PatientID": ["P-1", "P" * 70],
    "AccessionNumber": "A2026032900000017",
    "StudyID": "STUDY-0123456789-0123456789",
    "StudyDescription": "MR head " * 12,
    "ReferringPhysicianName": ["House^Gregory", "Wilson^James"],
}
REQUIRED_BUT_BROKEN = ("StudyID", "AccessionNumber", "StudyDate", "StudyTime", "PatientBirthDate", "PatientSex")

OnDisk = Callable[[str], WrittenSet]


def known(files: Iterable[Path]) -> list[Path]:
    """The files that the C and C++ tools know the class of."""
    return [file for file in files if NOT_KNOWN_TO_THE_TOOLS not in file.name]


def dciodvfy(files: Iterable[Path]) -> dict[str, list[str]]:
    """What dciodvfy finds wrong with files, by name, but for what is expected."""
    with ThreadPoolExecutor(2) as pool:
        found = zip(files, pool.map(_complaints, files), strict=True)
        return {file.name: lines for file, lines in found if lines}


def _complaints(file: Path) -> list[str]:
    done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if line.startswith(("Error", "Warning"))]
    assert done.returncode == (1 if any(line.startswith("Error") for line in found) else 0), lines
    return [line for line in found if not any(expected in line for expected in EXPECTED_OF_DCIODVFY)]


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize("name", NAMES)
def test_dciodvfy_has_nothing_to_say(name: str, result_set_on_disk: OnDisk) -> None:
    """No error, and no warning that we could avoid, on any object of any kind and form, for every geometry."""
    assert dciodvfy(known(result_set_on_disk(name).files)) == {}


@pytest.mark.peer("dcentvfy")
@pytest.mark.parametrize("name", NAMES)
def test_dcentvfy_finds_one_consistent_study(name: str, result_set_on_disk: OnDisk) -> None:
    """Source and all results describe patient, study, series and frame of reference alike."""
    written = result_set_on_disk(name)
    files = map(str, [*written.source, *known(written.files)])
    done = subprocess.run([peer("dcentvfy"), *files], capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert [line for line in lines if not any(expected in line for expected in EXPECTED_OF_DCENTVFY)] == []


@pytest.mark.parametrize("name", NAMES)
def test_dicom_validator_has_nothing_to_say(name: str, result_set_on_disk: OnDisk) -> None:
    """Required attributes are there, none that the IOD lacks, and every value fits its representation."""
    files = result_set_on_disk(name).files
    assert {file.name: found for file in files if (found := complaints_of(pydicom.dcmread(file)))} == {}


def test_dicom_validator_sees_what_is_wrong(result_set_on_disk: OnDisk) -> None:
    """The checker on highdicom's tables is no rubber stamp: it sees what is missing, empty, foreign and misplaced."""
    by_name = {obj.name: obj.dataset for obj in result_set_on_disk("axial").result_set.objects}
    seg, report = deepcopy(by_name["seg.dcm"]), deepcopy(by_name["sr.dcm"])
    del seg.PatientID
    del seg.SegmentSequence[0].SegmentNumber
    del seg.PerFrameFunctionalGroupsSequence[0].FrameContentSequence
    seg.KVP = "120"
    item = report.ContentSequence[-1].ContentSequence[0].ContentSequence[0]
    item.KVP = "120"
    del item.RelationshipType
    report.CompletionFlag = ""
    found = " ".join((*complaints_of(seg), *complaints_of(report)))
    for expected in (
        "PatientID: TagMissing",
        "SegmentSequence.SegmentNumber: TagMissing",
        "FrameContentSequence: TagMissing",
        "General: KVP: TagUnexpected",
        "ContentSequence.KVP: TagUnexpected",
        "RelationshipType: TagMissing",
        "CompletionFlag: TagEmpty",
    ):
        assert expected in found


def written(series: FlairSeries, folder: Path) -> list[Path]:
    """Results of a series as files."""
    folder.mkdir(exist_ok=True)
    return write_result_set(result_set_of(series, segmentation_of(series, flags=("blank_slices",))), folder)


@pytest.mark.peer("dciodvfy")
def test_a_successor_passes_dciodvfy(tmp_path: Path) -> None:
    """Results that name their predecessor are as valid as the first ones."""
    series = series_of(CASES[0], tmp_path / "source")
    segmentation = segmentation_of(series)
    earlier = ReportReference.to(result_set_of(series, segmentation).sr)
    (tmp_path / "results").mkdir()
    successor = result_set_of(series, segmentation, predecessor=earlier)
    assert dciodvfy(write_result_set(successor, tmp_path / "results")) == {}


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
    files = written(series, tmp_path / "results")
    found = [line for lines in dciodvfy(files).values() for line in lines]
    assert [line for line in found if NOTHING_FOR_DICOMDIR not in line] == []
    for file in files:
        result = pydicom.dcmread(file)
        assert all(keyword in result and result[keyword].is_empty for keyword in REQUIRED_BUT_BROKEN)


@pytest.mark.peer("dciodvfy")
@pytest.mark.filterwarnings("ignore:(Invalid value|The value length)")  # the test writes such values on purpose
def test_an_illegal_identity_is_all_that_dciodvfy_finds(tmp_path: Path) -> None:
    """Names and identifiers are repeated as the images have them, and nothing else of a result is illegal for it."""
    series = series_of(CASES[0], tmp_path / "source", extra=ILLEGAL_IDENTITY)
    files = written(series, tmp_path / "results")
    found = [line for lines in dciodvfy(known(files)).values() for line in lines]
    assert found
    assert [line for line in found if not any(keyword in line for keyword in ILLEGAL_IDENTITY)] == []
    for file in files:
        result = pydicom.dcmread(file)
        assert all(result[keyword].value == series.headers[0][keyword].value for keyword in ILLEGAL_IDENTITY)
