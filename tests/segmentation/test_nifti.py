"""NIfTI goes in and out in DICOM's axial order without moving a voxel."""

import gzip
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


def _with_forms(path: Path, data: np.ndarray, qform: tuple | None, sform: tuple | None) -> Path:
    image = nibabel.Nifti1Image(data, None)
    image.header.set_zooms((0.9, 0.9, 6.5))
    image.set_qform(*(qform or (None, 0)))
    image.set_sform(*(sform or (None, 0)))
    nibabel.save(image, path)
    return path


_HERE = np.diag([-0.9, 0.9, 6.5, 1.0])
_MOVED = _HERE + np.array([[0, 0, 0, 10], [0, 0, 0, -5], [0, 0, 0, 3], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("qform", "sform"),
    [((_HERE, 1), (_MOVED, 2)), ((_HERE, 1), None), (None, (_MOVED, 4)), ((_MOVED, 3), (_HERE, 1))],
    ids=["both", "qform only", "sform only", "other codes"],
)
def test_a_mask_has_both_transforms_of_its_flair(tmp_path: Path, qform: tuple | None, sform: tuple | None) -> None:
    """Viewers place a file by its qform or by its sform: the mask has both, with their codes."""
    flair = _with_forms(tmp_path / "flair.nii.gz", np.ones((8, 10, 6), np.float32), qform, sform)
    _, grid = read_flair_nifti(flair)
    write_mask_nifti(tmp_path / "wmh.nii.gz", np.zeros((6, 10, 8), bool), grid)
    mask, source = nibabel.load(tmp_path / "wmh.nii.gz"), nibabel.load(flair)
    for form in ("get_qform", "get_sform"):
        of_mask, code = getattr(mask, form)(coded=True)
        of_source, expected = getattr(source, form)(coded=True)
        assert code == expected
        assert (of_mask is None) is (of_source is None)
        if of_source is not None:
            np.testing.assert_allclose(of_mask, of_source, atol=1e-4)
    assert mask.header.get_zooms() == pytest.approx(source.header.get_zooms())
    assert grid.flags == ()


def test_a_file_without_orientation_is_refused(tmp_path: Path) -> None:
    """Code 0 of both transforms: which side is left, and which axis runs upwards, would be a guess."""
    path = _with_forms(tmp_path / "flair.nii.gz", np.ones((8, 10, 6), np.float32), None, None)
    with pytest.raises(BadVolume, match="qform_code and sform_code are 0"):
        read_flair_nifti(path)


def test_an_affine_registration_does_not_change_the_volume(tmp_path: Path) -> None:
    """A sform that was scaled to an atlas is noted, and the voxel size stays the acquired one."""
    scaled = _HERE @ np.diag([1.2, 1.2, 1.2, 1.0])
    path = _with_forms(tmp_path / "flair.nii.gz", np.ones((8, 10, 6), np.float32), (_HERE, 1), (scaled, 4))
    volume, grid = read_flair_nifti(path)
    assert volume.spacing_mm == pytest.approx((6.5, 0.9, 0.9))
    assert grid.flags == ("voxel_size_contradicts",)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_voxels_behind_the_announced_ones_are_refused(tmp_path: Path, suffix: str) -> None:
    """A dim with fewer slices than the file holds names itself, and is no smaller volume; filling is none."""
    path = _with_forms(tmp_path / f"flair{suffix}", np.ones((8, 10, 6), np.float32), (_HERE, 1), (_HERE, 1))
    opened = gzip.open if suffix.endswith("gz") else open
    with opened(path, "rb") as file:
        content = bytearray(file.read())
    with opened(path, "wb") as file:
        file.write(content + bytes(64))
    read_flair_nifti(path)
    content[46:48] = (5).to_bytes(2, "little")  # dim[3]
    with opened(path, "wb") as file:
        file.write(content)
    with pytest.raises(BadVolume, match=r"dim \(8, 10, 5\), got a slice or more"):
        read_flair_nifti(path)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_a_unit_counts_less_than_the_size_of_a_head(tmp_path: Path, unit: str) -> None:
    """Voxels of 0.9 "metres" are millimetres, with a flag; of 0.0009 or 900 of the unit they are refused."""
    path = _with_forms(tmp_path / "flair.nii.gz", np.ones((8, 10, 6), np.float32), (_HERE, 1), (_HERE, 1))
    image = nibabel.load(path)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    volume, grid = read_flair_nifti(path)
    assert volume.spacing_mm == pytest.approx((6.5, 0.9, 0.9)) and grid.flags == ("voxel_units_contradict",)
    scale = 0.001 if unit == "meter" else 1000.0
    scaled = _HERE @ np.diag([scale, scale, scale, 1.0])
    path = _with_forms(tmp_path / "other.nii.gz", np.ones((8, 10, 6), np.float32), (scaled, 1), (scaled, 1))
    image = nibabel.load(path)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    with pytest.raises(BadVolume, match=f"expected millimetres.*{unit} by xyzt_units"):
        read_flair_nifti(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_counted(tmp_path: Path, bad: float) -> None:
    """The reason says in how many voxels, and what to do."""
    data = np.ones((8, 10, 6), np.float32)
    data[:, 0, 0] = bad
    with pytest.raises(BadVolume, match="NaN or infinity in 8 voxels; set"):
        read_flair_nifti(_save(tmp_path / "flair.nii.gz", data))


def test_colour_and_complex_files_are_refused(tmp_path: Path) -> None:
    """One voxel has one real value."""
    colour = np.zeros((8, 10, 6), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for data in (colour, np.ones((8, 10, 6), np.complex64)):
        with pytest.raises(BadVolume, match="colour or complex"):
            read_flair_nifti(_save(tmp_path / "flair.nii.gz", data))


@pytest.mark.parametrize("value", [-1024.0, 65535.0])
def test_a_filler_far_from_all_values_is_no_signal(tmp_path: Path, value: float) -> None:
    """What a reslicing program wrote outside the scan counts as its darkest value, with a flag."""
    data = np.random.default_rng(0).uniform(1, 800, (8, 10, 6)).astype(np.float32)
    darkest = data[2:].min()
    data[:2] = value
    volume, grid = read_flair_nifti(_save(tmp_path / "flair.nii.gz", data))
    assert (volume.voxels.min(), bool(volume.voxels.max() <= 800)) == (darkest, True)
    assert "undeclared_padding" in grid.flags


@pytest.mark.parametrize("times", [0.5, 2.0, 8.0])
def test_voxel_sizes_that_no_registration_explains_are_refused(tmp_path: Path, times: float) -> None:
    """pixdim and transform differ so much that the volume would be wrong by a factor: both are named."""
    other = _HERE @ np.diag([1.0, 1.0, times, 1.0])
    path = _with_forms(tmp_path / "flair.nii.gz", np.ones((8, 10, 6), np.float32), (_HERE, 1), (other, 1))
    with pytest.raises(BadVolume, match=r"by pixdim and .* by the transform"):
        read_flair_nifti(path)


@pytest.mark.parametrize("centre", [0.0, 7.5])
def test_a_grey_value_around_a_stripped_head_is_no_signal(tmp_path: Path, centre: float) -> None:
    """A z-scored brain has the mean outside it: that counts as the darkest, so that the scan is none of equal values
    and its air is dark. A few voxels below it are noise, and raised. Noise around zero is left alone."""
    rng = np.random.default_rng(1)
    brain = np.zeros((60, 60, 12), bool)
    brain[18:42, 15:45, 1:11] = True
    voxels = np.where(brain, rng.normal(0, 1, brain.shape), 0.0) + centre
    volume, grid = read_flair_nifti(_saved(tmp_path / "stripped.nii", voxels))
    inside = grid.to_axial(brain.astype(np.float32)) > 0
    assert "undeclared_padding" in grid.flags
    assert np.unique(volume.voxels[~inside]).tolist() == [volume.voxels[inside].min()]
    some = np.where(brain, np.abs(rng.normal(500, 100, brain.shape)), 0.0)
    some[30, 30, 5:8] = -20
    few, clipped = read_flair_nifti(_saved(tmp_path / "few.nii", some))
    assert "undeclared_padding" in clipped.flags
    assert few.voxels.min() == 0
    plain, whole = read_flair_nifti(_saved(tmp_path / "whole.nii", rng.normal(0, 1, brain.shape)))
    assert whole.flags == ()
    assert len(np.unique(plain.voxels)) > 1000


def _saved(path: Path, voxels: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(voxels.astype(np.float32), np.diag([3.0, 3.0, 6.0, 1.0]))
    image.set_qform(image.affine, 1)
    nibabel.save(image, path)
    return path
