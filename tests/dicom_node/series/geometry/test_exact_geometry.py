"""Voxels and affine come back exactly from DICOM, whatever the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.data import shared_data
from support.dicom_series import Scan, scan_from_nifti, small_scan, write_scan

from dicom_node.series.read.series import FlairSeries, read_series

_REAL = (
    "flair-wmh/107130/flair.nii.gz",  # signed, 6.4 mm slices
    "flair-wmh/102313/flair.nii.gz",  # pre-processed: scaled by 4095
    "flair-unlabelled/openms_patient03_study1.nii.gz",  # not square, anisotropic in the sixth digit
)


def _expect_same(series: FlairSeries, scan: Scan) -> None:
    assert series.voxels.dtype == np.float32
    np.testing.assert_array_equal(series.voxels, scan.stored.astype(np.float32))
    np.testing.assert_allclose(series.affine, scan.affine, atol=1e-6)
    row_mm, column_mm = (float(np.linalg.norm(scan.affine[:3, axis])) for axis in (1, 0))
    np.testing.assert_allclose(series.spacing_mm, (scan.step_mm, row_mm, column_mm), rtol=1e-6)


@pytest.mark.shared_data
@pytest.mark.parametrize(("thickness", "flagged"), [(5.4, False), (4.5, False), (4.4, True)])
def test_a_gap_of_a_third_of_a_slice_is_noted(tmp_path: Path, thickness: float, flagged: bool) -> None:
    """A gap of a tenth is in every clinical 2D scan; one in which a lesion may lie is flagged."""
    series = read_series(write_scan(small_scan(), tmp_path, slice_thickness_mm=thickness))
    assert ("slice_gap" in series.flags) == flagged


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("name", _REAL)
def test_real_scans_come_back_exactly(name: str, enhanced: bool, tmp_path: Path) -> None:
    """A real FLAIR written as DICOM, planned oblique, gives the same voxels and affine."""
    scan = scan_from_nifti(shared_data(name)).tilted(17.0)
    _expect_same(read_series(write_scan(scan, tmp_path, enhanced=enhanced)), scan)


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize(
    "scan",
    [
        small_scan(),
        small_scan().tilted(30.0),
        small_scan().tilted(-20.0).tilted(15.0, axis=2).tilted(10.0, axis=1),
        small_scan(rows=64, columns=24),
        small_scan().cropped(columns=slice(None, None, 3)),
        small_scan().cropped(rows=slice(5, None, 2)),
        small_scan(slices=16).cropped(slices=slice(1, None, 2)),
    ],
    ids=["axial", "oblique", "double oblique", "not square", "wide pixels", "tall pixels", "thick steps"],
)
def test_every_grid_comes_back_exactly(scan: Scan, enhanced: bool, tmp_path: Path) -> None:
    """Oblique, non-square and anisotropic grids give the same voxels and affine, in shuffled and interleaved order."""
    _expect_same(read_series(write_scan(scan, tmp_path, enhanced=enhanced)[::-1]), scan)


def test_frames_name_their_source(tmp_path: Path) -> None:
    """Each slice names the very instance, or frame of an Enhanced instance, that it came from."""
    scan = small_scan(7)
    classic = read_series(write_scan(scan, tmp_path / "classic"))
    positions = {h.SOPInstanceUID: float(h.ImagePositionPatient[2]) for h in classic.headers}
    placed = [positions[frame.sop_instance_uid] for frame in classic.frames]
    assert placed == sorted(placed)
    assert {frame.frame_number for frame in classic.frames} == {None}

    enhanced = read_series(write_scan(scan, tmp_path / "enhanced", enhanced=True))
    assert [frame.frame_number for frame in enhanced.frames] == [1, 5, 2, 6, 3, 7, 4]
    assert len(enhanced.headers) == 1
    assert "PixelData" not in enhanced.headers[0]


def test_a_gap_counts_towards_the_spacing(tmp_path: Path) -> None:
    """A regular gap between slices is part of the slice spacing, and is flagged."""
    series = read_series(write_scan(small_scan(), tmp_path, slice_thickness_mm=4.0))
    assert series.spacing_mm[0] == pytest.approx(6.0)
    assert "slice_gap" in series.flags
    assert series.volume().voxel_volume_ml == pytest.approx(6.0 * 2.0 * 1.5 / 1000)


@pytest.mark.parametrize("enhanced", [False, True])
def test_every_slice_has_its_own_rescale(enhanced: bool, tmp_path: Path) -> None:
    """Slope and intercept are applied slice by slice, also from functional groups."""
    scan = small_scan(6)
    rescale = [(1.0 + 0.25 * k, 10.0 * k - 20.0) for k in range(6)]
    series = read_series(write_scan(scan, tmp_path, enhanced=enhanced, rescale=rescale))
    for k, (slope, intercept) in enumerate(rescale):
        np.testing.assert_allclose(series.voxels[k], scan.stored[k] * slope + intercept, rtol=1e-6)


def test_order_of_files_changes_nothing(tmp_path: Path) -> None:
    """The same files in any order, and twice, give the same voxels and digest."""
    files = write_scan(small_scan(), tmp_path)
    one, other = read_series(files), read_series([*files[::-1], files[0]])
    np.testing.assert_array_equal(one.voxels, other.voxels)
    assert one.instances_digest == other.instances_digest


def test_slices_run_from_feet_to_head(tmp_path: Path) -> None:
    """The slice axis points to the head even when the normal of the images points to the feet (mirrored columns)."""
    scan = small_scan()
    mirrored = Scan(scan.stored, scan.affine @ np.diag([-1.0, 1.0, 1.0, 1.0]), "mirrored")
    series = read_series(write_scan(mirrored, tmp_path))
    assert series.affine[2, 2] > 0
    np.testing.assert_array_equal(series.voxels, scan.stored)
    assert "mirrored_left_right" in series.flags
