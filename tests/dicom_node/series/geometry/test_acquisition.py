"""ImagesInAcquisition against the images that are there, where a slice has several."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.dicom_series import about_scan, small_scan

from dicom_node.demo.phantom.dicom_series import classic_series
from dicom_node.series.read.series import read_series

_SCAN = small_scan(12, 48, 40)
_FLAG = "fewer_images_than_announced"


def _echoes(count: int) -> list[list[Dataset]]:
    """Images of one acquisition, echo by echo, the FLAIR last; each announces all of them."""
    first = list(classic_series(_SCAN.stored, _SCAN.affine, about_scan(_SCAN)))
    echoes = []
    for number in range(1, count + 1):
        echo = copy.deepcopy(first)
        for header in echo:
            header.SOPInstanceUID += f".{number}"
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
            header.EchoNumbers, header.ImagesInAcquisition = number, count * len(first)
            header.InstanceNumber += (number - 1) * len(first)
            if number < count:
                header.EchoTime = 20.0
        echoes.append(echo)
    return echoes


def _is_flagged(headers: list[Dataset], folder: Path) -> bool:
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(len(headers))]
    for path, header in zip(paths, headers, strict=True):
        header.save_as(path, enforce_file_format=True)
    return _FLAG in read_series(paths).flags


def test_all_echoes_of_one_series_count(tmp_path: Path) -> None:
    """Both echoes are there, so nothing is missing; without an end slice of each something is."""
    first, second = _echoes(2)
    assert not _is_flagged([*first, *second], tmp_path / "whole")
    assert _is_flagged([*first[:-1], *second[:-1]], tmp_path / "part")


def test_an_echo_without_the_others_is_whole(tmp_path: Path) -> None:
    """The first echo lies in a series of its own: a multiple of the slices is no loss, any other number is."""
    _, second = _echoes(2)
    assert not _is_flagged(second, tmp_path / "whole")
    assert _is_flagged(second[:-1], tmp_path / "part")


@pytest.mark.parametrize("keyword", ["TemporalPositionIdentifier", "NumberOfTemporalPositions"])
def test_one_of_two_time_points_is_whole(keyword: str, tmp_path: Path) -> None:
    """Time points count as echoes do."""
    (only,) = _echoes(1)
    for header in only:
        header.ImagesInAcquisition *= 2
        setattr(header, keyword, 2)
    assert not _is_flagged(only, tmp_path / "in")


def test_half_of_the_only_echo_is_missed(tmp_path: Path) -> None:
    """Where nothing says that there are several images of a slice, twice the slices is a loss."""
    (only,) = _echoes(1)
    assert _is_flagged(only[:6], tmp_path / "in")


def test_a_copy_of_an_image_does_not_stand_for_a_lost_one(tmp_path: Path) -> None:
    """A slice that was sent again under another UID is not counted twice."""
    (only,) = _echoes(1)
    again = copy.deepcopy(only[3])
    again.SOPInstanceUID += ".9"
    again.file_meta.MediaStorageSOPInstanceUID = again.SOPInstanceUID
    assert _is_flagged([*only[:-1], again], tmp_path / "in")
