"""Slices that are there by their headers, and whose image is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.data import shared_data
from support.phantom_series import phantom_series, pixels, save_series

from dicom_node.node.errors import IncompleteSeries, UnreadableObject
from dicom_node.series.read.lost_pixels import are_pixels_lost
from dicom_node.series.read.series import read_series
from segmentation.nifti import read_flair_nifti

_FLAG = "pixels_of_slices_lost"


def _cut(dataset: Dataset, first_row: int) -> None:
    image = pixels(dataset)
    image[first_row:] = 0
    dataset.PixelData = image.astype(np.uint16).tobytes()


def _repeat(series: list[Dataset]) -> None:
    series[6].PixelData = series[2].PixelData


@pytest.mark.parametrize(
    ("spoil", "lost"),
    [
        (_repeat, True),
        (lambda series: _cut(series[5], 0), True),
        (lambda series: _cut(series[5], 32), True),
        (lambda series: _cut(series[1], 48), True),
        (lambda series: _cut(series[5], 61), False),
        (lambda series: _cut(series[9], 0), False),
        (lambda series: _cut(series[0], 32), False),
        (lambda series: [_cut(dataset, 56) for dataset in series], False),
    ],
    ids=["repeated", "blank", "half", "quarter", "in the air", "last blank", "first cut", "all cut"],
)
def test_an_image_that_was_lost_on_the_way_is_said(
    spoil: Callable[[list[Dataset]], object], lost: bool, tmp_path: Path
) -> None:
    """Blank, cut off, or another slice's: WMH in it is not counted, so the page says so. What every slice lacks, or the
    last one, is the field of view or the end of the head."""
    series = phantom_series()
    spoil(series)
    assert (_FLAG in read_series(save_series(series, tmp_path)).flags) == lost


def test_no_real_scan_has_lost_an_image() -> None:
    """Real scans, also stripped of their skulls, have a slice of their own at each place."""
    files = [*shared_data("flair-wmh").glob("*/flair.nii.gz"), *shared_data("flair-unlabelled").glob("*.nii.gz")]
    assert len(files) >= 10
    assert [file.name for file in files if are_pixels_lost(read_flair_nifti(file)[0].voxels)] == []


def test_images_that_share_a_uid_are_refused(tmp_path: Path) -> None:
    """Results refer to an image by its UID: two slices of one UID would show the mask of one on the other."""
    series = phantom_series()
    series[3].SOPInstanceUID = series[4].SOPInstanceUID
    with pytest.raises(UnreadableObject, match="2 different images have one SOPInstanceUID"):
        read_series(save_series(series, tmp_path))


def test_images_at_one_place_are_not_called_one_image(tmp_path: Path) -> None:
    """Ten images with one position came: the reason is the position, and not that nine are missing."""
    series = phantom_series()
    for dataset in series:
        dataset.ImagePositionPatient = [0, 0, 0]
    with pytest.raises(IncompleteSeries, match="The 10 images of the series lie at one place"):
        read_series(save_series(series, tmp_path))


def test_an_image_of_another_orientation_is_named_where_it_lacks(tmp_path: Path) -> None:
    """Ten images came, one of them turned: nine make a stack with a hole, and the reason says where the tenth is."""
    series = phantom_series()
    series[4].ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    with pytest.raises(IncompleteSeries, match="1 more image was left out"):
        read_series(save_series(series, tmp_path))
