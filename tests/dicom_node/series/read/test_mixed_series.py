"""One series that holds more, or less, than one regular volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from support.dicom_series import Scan, small_scan, write_scan

from dicom_node.node.errors import IncompleteSeries, NotAnalysable, NotFlair, UnreadableObject, UnsupportedGeometry
from dicom_node.series.read.series import read_series


def _copy(path: Path, name: str, change: Callable[[pydicom.FileDataset], None]) -> Path:
    """A changed copy of an instance under its own UID."""
    instance = pydicom.dcmread(path)
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=[name, path.name]
    )
    change(instance)
    made = path.with_name(f"{name}-{path.name}")
    instance.save_as(made, enforce_file_format=True)
    return made


def _copies(files: list[Path], name: str, change: Callable[[pydicom.FileDataset], None]) -> list[Path]:
    return [_copy(path, name, change) for path in files]


def _noise(instance: pydicom.FileDataset) -> None:
    values = np.frombuffer(instance.PixelData, "<u2")
    instance.PixelData = (values // 2 + 7).astype("<u2").tobytes()


def _move(dx: float, dy: float, dz: float) -> Callable[[pydicom.FileDataset], None]:
    def change(instance: pydicom.FileDataset) -> None:
        old = instance.ImagePositionPatient
        instance.ImagePositionPatient = [old[0] + dx, old[1] + dy, old[2] + dz]

    return change


def _edit(path: Path, change: Callable[[pydicom.FileDataset], None]) -> None:
    instance = pydicom.dcmread(path)
    change(instance)
    instance.save_as(path, enforce_file_format=True)


def test_the_same_slice_twice_is_dropped_and_flagged(tmp_path: Path) -> None:
    """A slice that was stored again under another UID counts once."""
    scan = small_scan()
    files = write_scan(scan, tmp_path)
    again = _copy(files[3], "again", lambda _: None)
    series = read_series([*files, again])
    np.testing.assert_array_equal(series.voxels, scan.stored)
    assert "duplicate_slices_dropped" in series.flags
    assert len(series.headers) == len(files)


def test_file_names_decide_nothing(tmp_path: Path) -> None:
    """Of a slice that came twice with headers that differ by a rounding, the same one is kept whatever the files are
    called: a series has other names in a folder than in the storage of the node, and must measure the same."""

    def rounded(instance: pydicom.FileDataset) -> None:
        instance.PixelSpacing = [float(mm) * 1.0004 for mm in instance.PixelSpacing]

    files = write_scan(small_scan(), tmp_path)
    files += _copies(files, "again", rounded)
    first = read_series(files)
    for number, name in enumerate(np.random.default_rng(5).permutation(len(files))):
        files[number] = files[number].rename(tmp_path / f"renamed-{name:02d}.dcm")
    for order in (files, files[::-1], sorted(files)):
        again = read_series(order)
        assert again.spacing_mm == first.spacing_mm
        assert again.frames == first.frames
        np.testing.assert_array_equal(again.affine, first.affine)
        np.testing.assert_array_equal(again.voxels, first.voxels)
        assert [header.to_json() for header in again.headers] == [header.to_json() for header in first.headers]


def test_two_different_images_at_one_place_are_refused(tmp_path: Path) -> None:
    """Nothing states which of two different images is right, so neither is used."""
    files = write_scan(small_scan(), tmp_path)
    other = _copy(files[3], "other", _noise)
    with pytest.raises(UnsupportedGeometry) as caught:
        read_series([*files, other])
    assert caught.value.code == "conflicting_duplicates"


def test_the_same_uid_with_other_bytes_is_refused(tmp_path: Path) -> None:
    """One SOP Instance UID with two contents is a conflict."""
    files = write_scan(small_scan(), tmp_path)
    instance = pydicom.dcmread(files[2])
    _noise(instance)
    instance.save_as(tmp_path / "conflict.dcm", enforce_file_format=True)
    with pytest.raises(UnsupportedGeometry) as caught:
        read_series([*files, tmp_path / "conflict.dcm"])
    assert caught.value.code == "conflicting_duplicates"


def test_a_missing_slice_inside_is_refused(tmp_path: Path) -> None:
    """An interior slice that did not come makes the series incomplete, and the reason counts it."""
    files = write_scan(small_scan(10), tmp_path)
    with pytest.raises(IncompleteSeries, match="2 slices are missing") as caught:
        read_series([*files[:3], *files[4:6], *files[7:]])
    assert caught.value.code == "slices_missing"


def test_two_acquisitions_in_turn_are_not_called_missing_slices(tmp_path: Path) -> None:
    """Two stacks moved by 0.3 mm in one series: the reason says that they are mixed."""
    files = write_scan(small_scan(10), tmp_path)
    moved = []
    for number, path in enumerate(files):
        instance = pydicom.dcmread(path)
        x, y, z = instance.ImagePositionPatient
        instance.ImagePositionPatient = [x, y, float(z) + 0.3]
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        moved.append(tmp_path / f"moved{number}.dcm")
        instance.save_as(moved[-1], enforce_file_format=True)
    with pytest.raises(UnsupportedGeometry, match="two acquisitions") as caught:
        read_series([*files, *moved])
    assert caught.value.code == "irregular_spacing"


def test_every_other_slice_missing_is_noticed(tmp_path: Path) -> None:
    """Half of an interleaved series looks regular; SpacingBetweenSlices states that it is not whole."""
    files = write_scan(small_scan(12), tmp_path)
    with pytest.raises(IncompleteSeries):
        read_series(files[::2])


def test_a_stated_gap_is_not_a_stated_spacing(tmp_path: Path) -> None:
    """Scanners that write the gap alone into SpacingBetweenSlices do not make a series incomplete."""
    read_series(write_scan(small_scan(), tmp_path, slice_thickness_mm=5.0, extra={"SpacingBetweenSlices": "1"}))


def test_small_jitter_of_positions_is_tolerated(tmp_path: Path) -> None:
    """Positions rounded to 0.1 mm are regular; the spacing is their mean."""
    files = write_scan(small_scan(9), tmp_path)
    for index, path in enumerate(files):
        _edit(path, _move(0.0, 0.0, 0.1 * (index % 2)))
    assert read_series(files).spacing_mm[0] == pytest.approx(6.0, abs=0.02)


def test_irregular_steps_are_refused(tmp_path: Path) -> None:
    """Steps that no missing slice explains are refused with the distances."""
    files = write_scan(small_scan(9), tmp_path)
    _edit(files[4], _move(0.0, 0.0, 2.5))
    with pytest.raises(UnsupportedGeometry, match=r"3\.50 to 8\.50 mm"):
        read_series(files)


def test_slices_shifted_sideways_are_refused(tmp_path: Path) -> None:
    """Slices that do not lie over one another do not make a volume."""
    files = write_scan(small_scan(9), tmp_path)
    _edit(files[4], _move(4.0, 0.0, 0.0))
    with pytest.raises(UnsupportedGeometry) as caught:
        read_series(files)
    assert caught.value.code == "slices_shifted"


def test_a_sheared_stack_is_refused(tmp_path: Path) -> None:
    """A stack that leans from its normal is no regular volume."""
    files = write_scan(small_scan(9), tmp_path)
    for index, path in enumerate(files):
        _edit(path, _move(0.0, 1.0 * index, 0.0))
    with pytest.raises(UnsupportedGeometry) as caught:
        read_series(files)
    assert caught.value.code == "sheared"


def test_the_flair_among_two_echoes_is_chosen(tmp_path: Path) -> None:
    """Of two echoes in one series the one with a T2 FLAIR's echo time is read."""
    scan = small_scan()
    files = write_scan(scan, tmp_path)

    def early(instance: pydicom.FileDataset) -> None:
        _noise(instance)
        instance.EchoTime, instance.EchoNumbers = "12", 2

    series = read_series([*files, *_copies(files, "early", early)])
    np.testing.assert_array_equal(series.voxels, scan.stored)
    assert "other_images_ignored" in series.flags


def test_two_repetitions_are_refused(tmp_path: Path) -> None:
    """Two complete FLAIR volumes in one series: which one to use is unknown."""
    files = write_scan(small_scan(), tmp_path)

    def second(instance: pydicom.FileDataset) -> None:
        _noise(instance)
        instance.AcquisitionNumber = 2

    with pytest.raises(NotFlair, match="2 FLAIR volumes") as caught:
        read_series([*files, *_copies(files, "second", second)])
    assert caught.value.code == "several_flair_volumes"


def test_a_repetition_of_few_slices_is_left_out(tmp_path: Path) -> None:
    """A second acquisition that was broken off after two slices does not spoil the first."""
    scan = small_scan()
    files = write_scan(scan, tmp_path)

    def second(instance: pydicom.FileDataset) -> None:
        _noise(instance)
        instance.AcquisitionNumber = 2

    series = read_series([*files, *_copies(files[:2], "second", second)])
    np.testing.assert_array_equal(series.voxels, scan.stored)


def test_two_packages_of_one_volume_stay_together(tmp_path: Path) -> None:
    """Odd and even slices with an acquisition number each are one volume, as 2D FLAIR is acquired."""
    scan = small_scan(10)
    files = write_scan(scan, tmp_path)
    for index, path in enumerate(files):
        _edit(path, lambda instance, index=index: setattr(instance, "AcquisitionNumber", 1 + index % 2))
    np.testing.assert_array_equal(read_series(files).voxels, scan.stored)


def test_phase_images_beside_magnitude_are_left_out(tmp_path: Path) -> None:
    """A phase image per slice beside the magnitude is ignored and flagged."""
    scan = small_scan()
    files = write_scan(scan, tmp_path)

    def phase(instance: pydicom.FileDataset) -> None:
        _noise(instance)
        instance.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]

    series = read_series([*files, *_copies(files, "phase", phase)])
    np.testing.assert_array_equal(series.voxels, scan.stored)
    assert "other_images_ignored" in series.flags


def test_a_localizer_in_the_series_is_left_out(tmp_path: Path) -> None:
    """Three planning images of other orientations do not spoil the volume."""
    scan = small_scan()
    files = write_scan(scan, tmp_path)

    def sagittal(instance: pydicom.FileDataset) -> None:
        instance.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        instance.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    series = read_series([*files, *_copies(files[:3], "localizer", sagittal)])
    np.testing.assert_array_equal(series.voxels, scan.stored)


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        ([0, 1, 0, 0, 0, -1], "not_axial"),
        ([1, 0, 0, 0, 0, -1], "not_axial"),
        ([0, 1, 0, -1, 0, 0], "rotated_in_plane"),
        ([1, 0, 0, 0, -1, 0], "rotated_in_plane"),
    ],
    ids=["sagittal", "coronal", "on its side", "upside down"],
)
def test_other_orientations_are_refused_with_a_reason(turn: list[int], code: str, tmp_path: Path) -> None:
    """Sagittal, coronal and turned FLAIR are refused by name: the networks know upright axial slices only."""
    axes = np.array(turn, float).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = axes[0] * 1.5, axes[1] * 2.0
    affine[:3, 2] = np.cross(axes[0], axes[1]) * 6.0
    with pytest.raises(UnsupportedGeometry) as caught:
        read_series(write_scan(Scan(small_scan().stored, affine, code), tmp_path))
    assert caught.value.code == code


def test_too_few_slices(tmp_path: Path) -> None:
    """A stack of four slices is no brain."""
    with pytest.raises(IncompleteSeries) as caught:
        read_series(write_scan(small_scan(4), tmp_path))
    assert caught.value.code == "too_few_slices"


def test_blank_slices_are_flagged_and_a_blank_series_is_refused(tmp_path: Path) -> None:
    """A blank slice at the edge is usual; a series of blank slices is refused."""
    scan = small_scan()
    edge = scan.stored.copy()
    edge[0] = 0
    assert "blank_slices" in read_series(write_scan(Scan(edge, scan.affine, "edge"), tmp_path / "edge")).flags
    with pytest.raises(UnreadableObject) as caught:
        read_series(write_scan(Scan(edge * 0, scan.affine, "blank"), tmp_path / "blank"))
    assert caught.value.code == "blank"


def test_a_patient_moved_out_between_slices_is_refused(tmp_path: Path) -> None:
    """Slices of two frames of reference do not share coordinates."""
    files = write_scan(small_scan(), tmp_path)
    _edit(files[1], lambda instance: setattr(instance, "FrameOfReferenceUID", generate_uid()))
    with pytest.raises(UnsupportedGeometry) as caught:
        read_series(files)
    assert caught.value.code == "several_frames_of_reference"


def test_a_missing_frame_of_reference_is_made_the_same_each_time(tmp_path: Path) -> None:
    """Old conversions lack FrameOfReferenceUID: one is derived from the series, so that results are repeatable."""
    files = write_scan(small_scan(), tmp_path)
    for path in files:
        _edit(path, lambda instance: delattr(instance, "FrameOfReferenceUID"))
    one, other = read_series(files), read_series(files)
    assert one.frame_of_reference_uid == other.frame_of_reference_uid == one.headers[0].FrameOfReferenceUID
    assert "no_frame_of_reference" in one.flags


def test_files_of_two_series_are_refused(tmp_path: Path) -> None:
    """The reader takes one series at a time."""
    files = write_scan(small_scan(), tmp_path / "one")
    others = write_scan(small_scan(9), tmp_path / "other")
    with pytest.raises(UnreadableObject) as caught:
        read_series([*files, *others])
    assert caught.value.code == "several_series"


@pytest.mark.parametrize("other", ["SECRET-2", ""], ids=["another", "none"])
def test_files_of_two_patients_are_refused(other: str, tmp_path: Path) -> None:
    """A series whose images name several patients is refused, and no ID is shown."""
    files = write_scan(small_scan(), tmp_path, patient_id="SECRET-1")
    _edit(files[3], lambda instance: setattr(instance, "PatientID", other))
    with pytest.raises(UnreadableObject) as caught:
        read_series(files)
    assert caught.value.code == "several_patients"
    assert "2 different patient IDs" in caught.value.reason
    assert "SECRET" not in caught.value.reason


def test_patients_without_ids_are_distinguished_by_name(tmp_path: Path) -> None:
    """Two patients whose images have no ID are two by name; no name is shown."""
    files = write_scan(small_scan(), tmp_path, patient_id="")
    for path in files:
        _edit(path, lambda instance: setattr(instance, "PatientName", "SECRET^ONE"))
    _edit(files[2], lambda instance: setattr(instance, "PatientName", "Secret^One^^^"))
    read_series(files)
    _edit(files[3], lambda instance: setattr(instance, "PatientName", "SECRET^TWO"))
    with pytest.raises(UnreadableObject) as caught:
        read_series(files)
    assert caught.value.code == "several_patients"
    assert "SECRET" not in caught.value.reason


def test_two_patients_in_two_studies_are_two_patients(tmp_path: Path) -> None:
    """A series without a patient is recognised whatever else is wrong, or several studies would get a report."""
    files = write_scan(small_scan(), tmp_path, patient_id="P-1")

    def other(instance: pydicom.FileDataset) -> None:
        instance.PatientID, instance.StudyInstanceUID = "P-2", "1.2.3"

    _edit(files[3], other)
    with pytest.raises(UnreadableObject) as caught:
        read_series(files)
    assert caught.value.code == "several_patients"


def test_padding_makes_no_other_patient(tmp_path: Path) -> None:
    """PatientID with blanks about it in some images is the same one."""
    files = write_scan(small_scan(), tmp_path, patient_id="P-1")
    _edit(files[3], lambda instance: setattr(instance, "PatientID", " P-1  "))
    read_series(files)


def test_no_file_at_all() -> None:
    """An empty list is refused, not a crash."""
    with pytest.raises(NotAnalysable):
        read_series([])
