"""NIfTI goes in and out in DICOM's axial order without moving a voxel."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from segmentation.errors import BadVolume
from segmentation.nifti import read_flair_nifti, read_mask_nifti, write_mask_nifti


def _save(path: Path, data: np.ndarray, codes: str = "RAS", shift: float = 0.0) -> Path:
    signs = {"R": 1, "L": -1, "A": 1, "P": -1, "S": 1, "I": -1}
    affine = np.diag([signs[codes[0]] * 0.9, signs[codes[1]] * 0.9, signs[codes[2]] * 6.5, 1.0])
    affine[0, 3] = shift
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return path


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "RPI"])
def test_a_landmark_lies_at_the_same_millimetre(tmp_path: Path, codes: str) -> None:
    """A bright voxel keeps its place in the patient whatever the file's axis order."""
    data = np.zeros((8, 10, 6), np.float32)
    data[1, 2, 4] = 1
    volume, grid = read_flair_nifti(_save(tmp_path / "flair.nii.gz", data, codes))
    slice_, row, column = np.argwhere(volume.voxels == 1)[0]
    lps = grid.axial_affine_lps @ [column, row, slice_, 1]
    ras = nibabel.load(tmp_path / "flair.nii.gz").affine @ [1, 2, 4, 1]
    np.testing.assert_allclose(lps[:3] * [-1, -1, 1], ras[:3], atol=1e-5)
    assert volume.spacing_mm == pytest.approx((6.5, 0.9, 0.9))


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "RPI"])
def test_mask_comes_back_on_the_files_grid(tmp_path: Path, codes: str) -> None:
    """A mask written for a FLAIR reads back as the same voxels and lies on the FLAIR file's own grid."""
    flair = _save(tmp_path / "flair.nii.gz", np.ones((8, 10, 6), np.float32), codes)
    _, grid = read_flair_nifti(flair)
    mask = np.random.default_rng(0).random((6, 10, 8)) > 0.7
    write_mask_nifti(tmp_path / "wmh.nii.gz", mask, grid)
    assert np.array_equal(read_mask_nifti(tmp_path / "wmh.nii.gz", grid), mask)
    assert np.allclose(nibabel.load(tmp_path / "wmh.nii.gz").affine, nibabel.load(flair).affine)


def test_foreign_masks_are_refused(tmp_path: Path) -> None:
    """A mask on another grid or with other labels is refused by name, with what was expected and what came."""
    data = np.ones((8, 10, 6), np.float32)
    _, grid = read_flair_nifti(_save(tmp_path / "flair.nii.gz", data))
    with pytest.raises(BadVolume, match="expected the FLAIR's grid"):
        read_mask_nifti(_save(tmp_path / "moved.nii.gz", data, shift=3.0), grid)
    with pytest.raises(BadVolume, match="expected the values 0 and 1"):
        read_mask_nifti(_save(tmp_path / "labels.nii.gz", data * 3), grid)


@pytest.mark.parametrize("content", [b"", b"not a nifti", b"\x1f\x8b\x08\x00garbage"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """Bytes that are not NIfTI end in one typed error."""
    path = tmp_path / "flair.nii.gz"
    path.write_bytes(content)
    with pytest.raises(BadVolume, match="expected a readable NIfTI"):
        read_flair_nifti(path)
