"""What stands beside the MR images in a study, classified by its classes."""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from support.phantoms import phantom_files
from support.whole_study import REASONS, other_objects

from db.records import StoredInstance
from dicom_node.demo.phantom.phantom import PhantomSpec
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME
from dicom_node.series.complete import completer as completer_module
from dicom_node.series.complete.completer import examine_files
from dicom_node.series.dicom.parsing import read_beginning


@pytest.fixture(scope="module")
def flair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom series."""
    return phantom_files(PhantomSpec(slices=12, matrix=64), tmp_path_factory.mktemp("series"))


def _row(file: Path) -> StoredInstance:
    header = pydicom.dcmread(file, stop_before_pixels=True)
    return StoredInstance(
        sop_instance_uid=str(header.SOPInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        study_instance_uid=str(header.StudyInstanceUID),
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        path=str(file),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        size_bytes=file.stat().st_size,
        association_id=1,
        ordinal=1,
        known_elsewhere=False,
        is_conflict=False,
        received_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("lost", [False, True])
def test_each_kind_is_named(flair: list[Path], tmp_path: Path, lost: bool) -> None:
    """Every series gets its sentence, also one that mixes classes, and also when the files are gone since: the class
    was checked on arrival. None has to be waited for, and none is a damaged FLAIR or a result of ours."""
    by_series = defaultdict(list)
    for file in other_objects(flair, tmp_path / "others"):
        row = _row(file)
        by_series[row.series_instance_uid].append(row)
        if lost:
            file.unlink()
    found = [examine_files(rows, tmp_path) for rows in by_series.values()]
    assert {examined.verdict.reason for examined in found} == REASONS
    assert {examined.verdict.code for examined in found} <= {"not_mr", "not_mr_image"}
    assert all(examined.looks_complete for examined in found)
    assert not any(examined.verdict.accepted or examined.own_results or examined.damaged for examined in found)


@pytest.mark.parametrize("keyword", ["SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName"])
def test_a_type_of_value_that_is_none(keyword: str, flair: list[Path], tmp_path: Path) -> None:
    """An element whose VR no parser knows is there to be skipped: the receiver takes the object, and it gets its
    sentence like any."""
    file = other_objects(flair, tmp_path / "others")[0]
    row = _row(file)
    header = pydicom.dcmread(file)
    header.ManufacturerModelName = "Example"
    header.save_as(file)
    tag = pydicom.tag.Tag(keyword)
    at = struct.pack("<HH2s", tag.group, tag.element, pydicom.datadict.dictionary_VR(tag).encode())
    content = file.read_bytes()
    place = content.index(at)
    (length,) = struct.unpack_from("<H", content, place + 6)
    unknown = at[:4] + b"ZI\0\0" + struct.pack("<L", length)  # the long form, as for every unknown VR (PS3.5 7.1.2)
    file.write_bytes(content[:place] + unknown + content[place + 8 :])
    found = examine_files([row], tmp_path)
    assert found.verdict.reason == "These are not MR images (secondary capture); the node analyses brain FLAIR only."
    assert not found.own_results


def test_a_fault_of_ours_is_a_verdict(flair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever classifying these objects may raise ends at the series, and states nothing that the objects hold."""

    def classify(_headers: object) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr(completer_module, "classify_series", classify)
    verdict = examine_files([_row(other_objects(flair, tmp_path / "others")[0])], tmp_path).verdict
    assert verdict.code == "unexpected_error"
    assert "unexpected KeyError" in verdict.reason
    assert "Doe" not in verdict.reason


def test_only_the_beginning_is_read(flair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of any size is classified at once: what follows the maker's name is never read."""
    monkeypatch.setattr(completer_module, "read_header", None)
    file = other_objects(flair, tmp_path / "others")[-1]
    assert examine_files([_row(file)], tmp_path).verdict.code == "not_mr_image"
    beginning = read_beginning(file)
    assert (beginning.Modality, beginning.Manufacturer) == ("MR", "Example")
    assert "PatientName" not in beginning


def test_ours_come_back_quietly(flair: list[Path], tmp_path: Path) -> None:
    """A series is ours only when all in it is ours, whatever its class."""
    ours, theirs, *_ = other_objects(flair, tmp_path / "others")
    header = pydicom.dcmread(ours)
    header.Manufacturer, header.ManufacturerModelName = MANUFACTURER, SOFTWARE_NAME
    header.save_as(ours)
    assert examine_files([_row(ours)], tmp_path).own_results
    assert not examine_files([_row(ours), _row(theirs)], tmp_path).own_results


def test_strangers_in_the_series_of_a_flair(flair: list[Path], tmp_path: Path) -> None:
    """Objects without pixels or place in the patient, filed in the FLAIR's own series, keep it from nothing."""
    rows = [_row(file) for file in [*other_objects(flair, tmp_path / "others"), *flair]]
    found = examine_files(rows, tmp_path)
    assert (found.verdict.accepted, found.looks_complete) == (True, True)
    assert "non_image_instances_ignored" in found.verdict.flags
