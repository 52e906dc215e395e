"""What headers state about completeness, for the choice of the quiet time."""

from __future__ import annotations

import copy
import math

from pydicom.dataset import Dataset
from support.dicom_series import about_scan, small_scan

from dicom_node.demo.phantom.dicom_series import classic_series, enhanced_instance
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.geometry.volumes import MAX_ORIENTATIONS, part_into_volumes
from dicom_node.series.rules.completeness import slice_completeness
from dicom_node.series.rules.flair import classify_series

_SCAN = small_scan(10, 8, 8)


def _headers(**changes: object) -> list[Dataset]:
    return list(classic_series(_SCAN.stored, _SCAN.affine, about_scan(_SCAN, **changes)))


def test_a_whole_series_looks_complete() -> None:
    """Regular slices in the announced number look complete, in any order."""
    seen = slice_completeness(_headers()[::-1])
    assert seen.looks_complete
    assert (seen.expected, seen.found) == (10, 10)


def test_a_missing_slice_inside_is_a_gap() -> None:
    """An interior slice that has not come is a gap."""
    headers = _headers()
    assert slice_completeness(headers[:4] + headers[5:]).has_gap


def test_half_of_an_interleaved_series_is_a_gap() -> None:
    """Every other slice is regular, but SpacingBetweenSlices says otherwise."""
    assert slice_completeness(_headers()[::2]).has_gap


def test_missing_slices_at_the_end_are_seen_in_the_announced_number() -> None:
    """ImagesInAcquisition states that the last slices have not come."""
    seen = slice_completeness(_headers()[:7])
    assert not seen.has_gap
    assert not seen.looks_complete


def test_without_an_announced_number_regular_slices_suffice() -> None:
    """Where no header announces a number, none is expected."""
    headers = _headers()
    for header in headers:
        del header.ImagesInAcquisition
    assert slice_completeness(headers).looks_complete


def test_two_frames_at_one_place_are_duplicates() -> None:
    """A slice that came twice makes the series doubtful."""
    headers = _headers()
    assert slice_completeness([*headers, headers[3]]).has_duplicate


def test_an_enhanced_instance_is_whole() -> None:
    """A multi-frame instance holds its whole volume."""
    seen = slice_completeness([enhanced_instance(_SCAN.stored, _SCAN.affine, about_scan(_SCAN))])
    assert seen.looks_complete
    assert seen.found == 10


def test_headers_without_geometry_do_not_raise() -> None:
    """Reports and empty headers have no slices: no gap, nothing found."""
    seen = slice_completeness([Dataset()])
    assert seen.looks_complete
    assert seen.found == 0


def test_a_time_series_costs_little() -> None:
    """Thousands of frames are neither sorted nor parted: they end as too many images, at once."""
    instance = enhanced_instance(_SCAN.stored, _SCAN.affine, about_scan(_SCAN))
    instance.PerFrameFunctionalGroupsSequence = list(instance.PerFrameFunctionalGroupsSequence) * 500
    instance.NumberOfFrames = 5000
    assert classify_series([instance]).code == "too_many_images"
    assert slice_completeness([instance]).found == 5000


def test_radial_orientations_cost_little() -> None:
    """A thousand orientations in one series are not compared each with each."""
    instance = enhanced_instance(_SCAN.stored, _SCAN.affine, about_scan(_SCAN))
    template = instance.PerFrameFunctionalGroupsSequence[0]
    groups = []
    for step in range(1000):
        group = copy.copy(template)
        angle = step * 0.006
        orientation = Dataset()
        orientation.ImageOrientationPatient = [
            math.cos(angle),
            math.sin(angle),
            0,
            -math.sin(angle),
            math.cos(angle),
            0,
        ]
        group.PlaneOrientationSequence = [orientation]
        groups.append(group)
    instance.PerFrameFunctionalGroupsSequence = groups
    instance.NumberOfFrames = len(groups)
    assert len(part_into_volumes(frames_of([instance]))) <= MAX_ORIENTATIONS
