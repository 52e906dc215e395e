"""What vendors announce in elements of their own, against the slices that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.data import shared_data
from support.dicom_series import about_scan, small_scan

from dicom_node.demo.phantom.dicom_series import classic_series
from dicom_node.series.dicom.announced import are_slices_missing, slices_announced
from dicom_node.series.dicom.folder import find_series
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.read.series import read_series
from dicom_node.series.rules.completeness import slice_completeness

_SCAN = small_scan(12, 48, 40)
_PHILIPS = (0x2001, "Philips Imaging DD 001", 0x18, "SL")
_GE_IMAGES = (0x0025, "GEMS_SERS_01", 0x07, "SL")
_GE_LOCATIONS = (0x0021, "GEMS_RELA_01", 0x4F, "SS")
_VENDORS = pytest.mark.parametrize("place", [_PHILIPS, _GE_IMAGES, _GE_LOCATIONS, None], ids=["P", "GE", "loc", "UIH"])


def _headers(place: tuple[int, str, int, str] | None, count: object, vr: str = "", block: int = 0x10) -> list[Dataset]:
    headers = list(classic_series(_SCAN.stored, _SCAN.affine, about_scan(_SCAN)))
    for header in headers:
        del header.ImagesInAcquisition
        if place is None:
            header.add_new((0x0054, 0x0081), "US", count)
            continue
        group, creator, element, usual = place
        header.add_new((group, block), "LO", creator)
        header.add_new((group, block << 8 | element), vr or usual, count)
    return headers


def _is_missing(headers: list[Dataset], slices: int) -> bool:
    return are_slices_missing(frames_of(headers), slices)


@_VENDORS
def test_an_end_slice_is_missed_by_a_vendors_count(place: tuple[int, str, int, str] | None, tmp_path: Path) -> None:
    """Without ImagesInAcquisition a lost end slice is waited for, and flagged when it does not come."""
    headers = _headers(place, 12)
    assert slice_completeness(headers).looks_complete
    assert not slice_completeness(headers[:-1]).looks_complete
    assert not slice_completeness(headers[1:]).looks_complete
    assert "fewer_images_than_announced" not in read_series(_write(headers, tmp_path / "all")).flags
    assert "fewer_images_than_announced" in read_series(_write(headers[:-2], tmp_path / "part")).flags


@pytest.mark.parametrize(("count", "vr"), [(b"\x0c\0\0\0", "UN"), (b"\x0c\0", "UN"), ("12", "IS"), ("12", "LO")])
def test_a_count_is_read_in_any_representation(count: object, vr: str) -> None:
    """Systems in between write private elements as UN, and others write numbers as text."""
    headers = _headers(_PHILIPS, count, vr)
    assert not _is_missing(headers, 12)
    assert _is_missing(headers[:-1], 11)


def test_a_private_block_may_lie_anywhere() -> None:
    """The creator decides where the block lies, not the number that most files have (PS3.5 7.8.1)."""
    assert _is_missing(_headers(_PHILIPS, 12, block=0x90)[:-1], 11)


@pytest.mark.parametrize("creator", ["Philips Imaging DD 002", "ACME 1.1", "", "GEMS_SERS_01"])
def test_another_creators_element_is_no_count(creator: str) -> None:
    """The same element of another creator means something else."""
    headers = _headers((0x2001, creator, 0x18, "SL"), 12)
    assert slice_completeness(headers[:-1]).looks_complete
    assert slices_announced(frames_of(headers[:-1]), 11) == 0


def test_a_count_without_a_creator_is_none() -> None:
    """An element that lost its creator on the way may be anything."""
    headers = _headers(_GE_IMAGES, 12)
    for header in headers:
        del header[0x0025, 0x0010]
    assert slices_announced(frames_of(headers[:-1]), 11) == 0


def test_echoes_and_stacks_that_are_counted_together_are_no_loss() -> None:
    """A count of all images of the series, or of twice the slices, explains itself; a lost one is still seen."""
    one, other = _headers(_GE_IMAGES, 24), _headers(_GE_IMAGES, 24)
    for header in other:
        header.EchoTime = 30.0
        header.SOPInstanceUID += ".2"
    both = [*one, *other]
    assert slice_completeness(both).looks_complete
    assert not _is_missing(both, 12)
    assert not _is_missing(one, 12)  # the other echo is a series of its own
    assert _is_missing([*one[:-1], *other[:-1]], 11)


@pytest.mark.parametrize("count", [0, -1, 5, 11, 12, 2**31 - 1])
def test_a_count_that_is_none_changes_nothing(count: int) -> None:
    """Zero, negative, smaller, equal and absurd counts announce no more than what is there."""
    assert slices_announced(frames_of(_headers(_PHILIPS, count)), 12) == 0


@pytest.mark.parametrize(
    ("count", "vr"),
    [("many", "LO"), (b"\xff" * 7, "UN"), ([12, 13], "SL"), (float("nan"), "FD"), (None, "SL"), ([Dataset()], "SQ")],
)
def test_a_count_that_is_no_number_changes_nothing(count: object, vr: str) -> None:
    """Hostile values of a private element neither raise nor announce."""
    assert slices_announced(frames_of(_headers(_PHILIPS, count, vr)[:-1]), 11) == 0


def test_one_broken_count_of_many_is_outvoted() -> None:
    """What most images say counts."""
    headers = _headers(_PHILIPS, 12)
    headers[4][0x2001, 0x1018].value = 99
    assert slices_announced(frames_of(headers), 12) == 0


def test_a_reformat_copies_the_count_of_its_source() -> None:
    """Derived images have other slices than the acquisition whose header they keep."""
    headers = _headers(_PHILIPS, 17)
    assert _is_missing(headers, 12)
    for header in headers:
        header.ImageType = ["DERIVED", "SECONDARY", "MPR"]
    assert not _is_missing(headers, 12)


def test_real_vendor_files_announce_what_they_hold() -> None:
    """Real series are short of a vendor's count only where files are known to be left out."""
    root = shared_data("dicom")
    short: set[str] = set()
    for folder in sorted({path.parent for path in root.rglob("*") if path.is_file()}):
        for series in find_series(sorted(path for path in folder.iterdir() if path.is_file())).series:
            if slice_completeness(series.headers).is_short:
                short.add(folder.relative_to(root).as_posix())
    assert short <= {"uih_umr770", "nema_wg04"}  # 3 of 160 slices, and single images


def _write(headers: list[Dataset], folder: Path) -> list[Path]:
    folder.mkdir()
    files = []
    for number, header in enumerate(headers):
        files.append(folder / f"{number}.dcm")
        header.save_as(files[-1], enforce_file_format=True)
    return files


@pytest.mark.parametrize(
    ("image_type", "counts"),
    [
        (["DERIVED", "SECONDARY", "MPR"], False),
        (["DERIVED", "SECONDARY"], False),
        (["DERIVED", "PRIMARY", "MPR"], False),
        (["ORIGINAL", "PRIMARY", "M"], True),
        (["DERIVED", "PRIMARY", "M", "DENOISED"], True),
        (None, True),
    ],
)
def test_a_reformat_has_the_number_of_its_source(image_type: list[str] | None, counts: bool, tmp_path: Path) -> None:
    """ImagesInAcquisition of slices cut from a 3D scan counts that scan's images; of others it shows a lost slice."""
    headers = list(classic_series(_SCAN.stored, _SCAN.affine, about_scan(_SCAN)))
    for header in headers:
        header.ImagesInAcquisition, header.ImageType = 176, image_type
    assert slice_completeness(headers).looks_complete != counts
    assert ("fewer_images_than_announced" in read_series(_write(headers, tmp_path / "in")).flags) == counts
