"""Enhanced multi-frame MR as it comes: repetitions, stacks, contrasts, converted classic images."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import LegacyConvertedEnhancedMRImageStorage
from support.dicom_series import small_scan, write_scan

from dicom_node.node.errors import NotFlair
from dicom_node.series.read.series import FlairSeries, read_series
from dicom_node.series.rules.completeness import slice_completeness

_SCAN = small_scan(8)


def _twice(folder: Path, change: Callable[[Dataset], None]) -> FlairSeries:
    """An instance with every slice twice, the second with other pixels and a changed functional group; then read."""
    (path,) = write_scan(_SCAN, folder, enhanced=True)
    instance = pydicom.dcmread(path)
    groups = list(instance.PerFrameFunctionalGroupsSequence)
    second = copy.deepcopy(groups)
    for group in second:
        change(group)
    instance.PerFrameFunctionalGroupsSequence = [frame for pair in zip(groups, second, strict=True) for frame in pair]
    pixels = np.frombuffer(instance.PixelData, "<u2").reshape(len(groups), -1)
    instance.PixelData = np.stack([pixels, pixels // 2 + 3], axis=1).astype("<u2").tobytes()
    instance.NumberOfFrames = 2 * len(groups)
    instance.save_as(path, enforce_file_format=True)
    return read_series([path])


def _set(macro: str, **elements: object) -> Callable[[Dataset], None]:
    def change(group: Dataset) -> None:
        if macro not in group:
            setattr(group, macro, [Dataset()])
        for keyword, value in elements.items():
            setattr(getattr(group, macro)[0], keyword, value)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("MREchoSequence", EffectiveEchoTime=14.0),
        _set(
            "MRImageFrameTypeSequence",
            FrameType=["ORIGINAL", "PRIMARY", "T2", "NONE"],
            AcquisitionContrast="PROTON_DENSITY",
        ),
        _set("MRImageFrameTypeSequence", ComplexImageComponent="PHASE"),
        _set("MRModifierSequence", InversionTimes=[860.0]),
        _set("PlaneOrientationSequence", ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
    ],
    ids=["second echo", "other contrast", "phase", "T1 FLAIR", "sagittal stack"],
)
def test_the_flair_frames_are_chosen(change: Callable[[Dataset], None], tmp_path: Path) -> None:
    """Of two kinds of frames, interleaved in one instance, the FLAIR is read, and its frame numbers are right."""
    series = _twice(tmp_path, change)
    np.testing.assert_array_equal(series.voxels, _SCAN.stored)
    assert [frame.frame_number for frame in series.frames] == [1, 9, 3, 11, 5, 13, 7, 15]
    assert "other_images_ignored" in series.flags


@pytest.mark.parametrize(
    "change",
    [
        _set("FrameContentSequence", TemporalPositionIndex=2),
        _set("FrameContentSequence", FrameAcquisitionNumber=2),
        _set("FrameContentSequence", StackID="2"),
    ],
    ids=["temporal positions", "acquisitions", "stacks"],
)
def test_two_flair_volumes_in_one_instance_are_refused(change: Callable[[Dataset], None], tmp_path: Path) -> None:
    """Two complete FLAIR volumes in one instance: which one to use is unknown."""
    with pytest.raises(NotFlair) as caught:
        _twice(tmp_path, change)
    assert caught.value.code == "several_flair_volumes"


def test_classic_images_converted_to_enhanced(tmp_path: Path) -> None:
    """Legacy Converted Enhanced MR keeps what has no functional group among the unassigned attributes (PS3.3 A.70)."""
    (path,) = write_scan(_SCAN, tmp_path, enhanced=True)
    instance = pydicom.dcmread(path)
    instance.SOPClassUID = instance.file_meta.MediaStorageSOPClassUID = LegacyConvertedEnhancedMRImageStorage
    del instance.AcquisitionContrast
    shared = instance.SharedFunctionalGroupsSequence[0]
    unassigned = Dataset()
    unassigned.EchoTime, unassigned.RepetitionTime, unassigned.InversionTime = "105", "9000", "2500"
    shared.UnassignedSharedConvertedAttributesSequence = [unassigned]
    for macro in ("MREchoSequence", "MRModifierSequence", "MRTimingAndRelatedParametersSequence"):
        delattr(shared, macro)
    for group in instance.PerFrameFunctionalGroupsSequence:
        del group.MRImageFrameTypeSequence
    instance.save_as(path, enforce_file_format=True)
    series = read_series([path])
    np.testing.assert_array_equal(series.voxels, _SCAN.stored)
    assert "no_inversion_time" not in series.flags


def test_two_instances_of_half_a_volume_each(tmp_path: Path) -> None:
    """A volume that was split over two Enhanced instances is put together (concatenations, PS3.3 C.7.6.16.2.2.4)."""
    (lower,) = write_scan(_SCAN.cropped(slices=slice(0, 4)), tmp_path / "lower", enhanced=True)
    (upper,) = write_scan(_SCAN.cropped(slices=slice(4, 8)), tmp_path / "upper", enhanced=True)
    first, second = pydicom.dcmread(lower), pydicom.dcmread(upper)
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(second, keyword, getattr(first, keyword))
    second.save_as(upper, enforce_file_format=True)
    series = read_series([upper, lower])
    np.testing.assert_array_equal(series.voxels, _SCAN.stored)
    assert len(series.headers) == 2
    assert [frame.sop_instance_uid for frame in series.frames] == [first.SOPInstanceUID] * 4 + [
        second.SOPInstanceUID
    ] * 4


def _part(folder: Path, *, first: int, last: int, number: int, total: int | None) -> Path:
    """The slices of that range as one part of a concatenation."""
    (path,) = write_scan(_SCAN, folder, enhanced=True)
    instance = pydicom.dcmread(path)
    pixels = np.frombuffer(instance.PixelData, "<u2").reshape(int(instance.NumberOfFrames), -1)
    groups = list(instance.PerFrameFunctionalGroupsSequence)
    heights = [float(group.PlanePositionSequence[0].ImagePositionPatient[2]) for group in groups]
    kept = np.argsort(heights)[first:last]
    instance.PixelData = pixels[kept].tobytes()
    instance.PerFrameFunctionalGroupsSequence = [groups[index] for index in kept]
    instance.NumberOfFrames = last - first
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    instance.ConcatenationUID, instance.InConcatenationNumber = "1.2.3", number
    if total is not None:
        instance.InConcatenationTotalNumber = total
    instance.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("total", [2, None])
def test_a_lost_part_of_a_concatenation_is_said(tmp_path: Path, total: int | None) -> None:
    """One image in two instances of which one did not come: fewer images than announced, and no whole series."""
    parts = [
        _part(tmp_path / "1", first=0, last=3, number=1, total=total),
        _part(tmp_path / "2", first=3, last=8, number=2, total=total),
    ]
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in parts]
    assert "fewer_images_than_announced" not in read_series(parts).flags
    assert slice_completeness(headers).looks_complete
    assert "fewer_images_than_announced" in read_series(parts[1:]).flags
    assert not slice_completeness(headers[1:]).looks_complete


def test_a_frame_lost_at_an_end_is_seen_in_the_stack_positions(tmp_path: Path) -> None:
    """InStackPositionNumbers that begin behind 1 say what InstanceNumbers say of classic images."""
    (path,) = write_scan(_SCAN, tmp_path, enhanced=True)
    instance = pydicom.dcmread(path)
    for number, group in enumerate(instance.PerFrameFunctionalGroupsSequence, start=2):
        _set("FrameContentSequence", InStackPositionNumber=number)(group)
    instance.save_as(path, enforce_file_format=True)
    assert "instance_numbers_missing" in read_series([path]).flags
