"""FLAIR volumes and masks in NIfTI, turned to DICOM's axial order, and masks back onto the file's own grid."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from segmentation.errors import BadVolume
from segmentation.undeclared_padding import undeclared_padding, with_dark_filler
from segmentation.volume import FlairVolume, Stored

# NIfTI axes that run as DICOM's axial columns (to the patient's left), rows (to posterior) and slices (to superior).
_AXIAL = axcodes2ornt(("L", "P", "S"))
_SAME_GRID_TOLERANCE_MM = 0.01
_SMALLEST_VOXEL_MM3 = 1e-9
_SAME_SIZE = 0.01
# Voxels of a head, in mm: numbers between are millimetres, whatever xyzt_units calls them.
_LIKELY_VOXEL_MM: Final = (0.1, 20.0)
_OTHER_UNITS: Final = frozenset({"meter", "micron"})
# Registration to an atlas scales a head by less; beyond, one of the two sizes is wrong.
_MOST_SCALED = 1.5
# What nibabel was seen to raise on damaged files: its own errors, zlib's, and plain Python's.
_DAMAGE: Final = (
    ImageFileError,
    HeaderDataError,
    WrapStructError,
    ArithmeticError,
    EOFError,
    MemoryError,
    OSError,
    ValueError,
    zlib.error,
)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class NiftiForm:
    """One of the two transforms that a NIfTI file holds (nifti1.h, qform and sform).

    Attributes:
        affine: 4x4, voxel indices to mm, RAS+; None when its code is 0.
        code: what it leads to; 0: unknown.
    """

    affine: NDArray[np.float64] | None
    code: int


@dataclass(frozen=True)
class NiftiGrid:
    """The geometry of a NIfTI file's voxels, and how they were turned.

    Attributes:
        shape: the file's own three axes.
        affine: 4x4, the file's voxel indices to mm, RAS+.
        qform, sform: both transforms as the file has them; a co-registration may have changed one only.
        voxel_mm: voxel size along the file's axes (pixdim); None: as `affine` says.
        flags: what a reader of the result should know.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    qform: NiftiForm | None = None
    sform: NiftiForm | None = None
    voxel_mm: tuple[float, float, float] | None = None
    flags: tuple[str, ...] = ()

    @property
    def _turn(self) -> Any:
        return ornt_transform(io_orientation(self.affine), _AXIAL)

    def to_axial(self, data: NDArray[Any]) -> NDArray[Any]:
        """The file's array as (slice, row, column)."""
        return np.ascontiguousarray(apply_orientation(data, self._turn).transpose(2, 1, 0))

    def from_axial(self, data: NDArray[Any]) -> NDArray[Any]:
        """An array (slice, row, column) in the file's own axis order."""
        back = ornt_transform(_AXIAL, io_orientation(self.affine))
        return np.ascontiguousarray(apply_orientation(data.transpose(2, 1, 0), back))

    @property
    def axial_affine_lps(self) -> NDArray[np.float64]:
        """4x4, (column, row, slice) indices after `to_axial` to mm, LPS as in DICOM."""
        turned = self.affine @ inv_ornt_aff(self._turn, self.shape)
        return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ turned)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing (slice, row, column)."""
        along = np.linalg.norm(self.axial_affine_lps[:3, :3], axis=0)
        if self.voxel_mm is not None:
            along[self._turn[:, 0].astype(int)] = self.voxel_mm
        column, row, slice_ = along
        return float(slice_), float(row), float(column)


def read_flair_nifti(path: Path) -> tuple[FlairVolume, NiftiGrid]:
    """Read a FLAIR volume.

    Raises:
        BadVolume: not readable as NIfTI, not three axes, in colour, not finite, or without orientation.
    """
    data, grid = _read(path)
    if not any(form is not None and form.code > 0 for form in (grid.qform, grid.sform)):
        raise BadVolume(
            f"{path.name}: qform_code and sform_code are 0, so the direction from feet to head and the left "
            "side are unknown; convert the DICOM again (dcm2niix), or set the transform and its code"
        )
    voxels = data.astype(np.float32)
    # 0 is what no signal looks like.
    if padding := [value for value in undeclared_padding(voxels) if value != 0]:
        outside = np.isin(voxels, np.asarray(padding, np.float32))
        voxels[outside] = voxels[~outside].min()
        grid = replace(grid, flags=(*grid.flags, "undeclared_padding"))
    axial: Stored = grid.to_axial(voxels)
    if (darkened := with_dark_filler(axial)) is not None:
        axial = darkened
        grid = replace(grid, flags=tuple(dict.fromkeys((*grid.flags, "undeclared_padding"))))
    return FlairVolume(axial, grid.spacing_mm, columns_to_left=True), grid


def read_mask_nifti(path: Path, grid: NiftiGrid) -> NDArray[np.bool_]:
    """Read a mask that lies on `grid`, as bool (slice, row, column).

    Raises:
        BadVolume: another grid, a value other than 0 and 1, or NaN.
    """
    data, found = _read(path)
    if found.shape != grid.shape or not np.allclose(found.affine, grid.affine, atol=_SAME_GRID_TOLERANCE_MM):
        raise BadVolume(
            f"{path.parent.name}/{path.name}: expected the FLAIR's grid {grid.shape}, got {found.shape}"
            + ("" if found.shape != grid.shape else " with another affine")
            + "; resample the mask to the FLAIR"
        )
    values = np.unique(data)
    if not np.isin(values, (0, 1)).all():
        raise BadVolume(f"{path.parent.name}/{path.name}: expected the values 0 and 1, got {values[:6].tolist()}")
    return grid.to_axial(data) > 0


def write_mask_nifti(path: Path, mask: NDArray[np.bool_], grid: NiftiGrid) -> None:
    """Write a mask (slice, row, column) onto the file grid it came from."""
    write_map_nifti(path, mask.astype(np.uint8), grid)


def write_map_nifti(path: Path, values: NDArray[np.uint8] | NDArray[np.float32], grid: NiftiGrid) -> None:
    """Write labels or probabilities (slice, row, column) onto the file grid they belong to, in their own data type."""
    image = nibabel.Nifti1Image(grid.from_axial(values), grid.affine)
    image.set_data_dtype(values.dtype)
    # Both transforms with their codes: some viewers place a file by the one, some by the other.
    if grid.qform is not None and grid.sform is not None:
        image.set_qform(grid.qform.affine, grid.qform.code)
        image.set_sform(grid.sform.affine, grid.sform.code)
        if grid.voxel_mm is not None:
            image.header.set_zooms(grid.voxel_mm)
    nibabel.save(image, path)


def _read(path: Path) -> tuple[NDArray[Any], NiftiGrid]:
    try:
        image = nibabel.load(path)
        data = np.asanyarray(image.dataobj)
        has_more = _has_more(image, data)
    except _DAMAGE as error:
        raise BadVolume(f"{path.name}: expected a readable NIfTI file ({type(error).__name__})") from error
    if has_more:
        raise BadVolume(
            f"{path.name}: expected the voxels of the header's dim {data.shape}, got a slice or more besides: "
            "convert the DICOM again (dcm2niix)"
        )
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise BadVolume(f"{path.name}: expected three axes, got shape {data.shape}")
    if data.dtype.fields is not None or np.iscomplexobj(data):
        raise BadVolume(f"{path.name}: expected one real value per voxel, got colour or complex values ({data.dtype})")
    if (lost := data.size - int(np.count_nonzero(np.isfinite(data)))) > 0:
        raise BadVolume(
            f"{path.name}: expected finite values, got NaN or infinity in {lost} voxels; set what is outside "
            "the head to 0"
        )
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < _SMALLEST_VOXEL_MM3:
        raise BadVolume(f"{path.name}: expected an affine that can be inverted, got {affine[:3].tolist()}")
    return data, _grid_of(image, affine, tuple(int(n) for n in data.shape))


def _has_more(image: Any, data: NDArray[Any]) -> bool:
    """Whether a slice or more lies behind the voxels that the header announces; less than that is filling."""
    held = image.file_map.get("image")
    if held is None or not isinstance(image, nibabel.Nifti1Pair) or data.ndim < 3:
        return False
    kind = image.get_data_dtype()
    slice_bytes = int(np.prod(data.shape[:2])) * kind.itemsize
    with held.get_prepare_fileobj("rb") as file:
        file.seek(image.dataobj.offset + int(np.prod(data.shape)) * kind.itemsize)
        return bool(len(file.read(slice_bytes)) >= max(slice_bytes, 1))


def _in_mm(sizes: Iterable[float]) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes) + " mm"


def _grid_of(image: Any, affine: NDArray[np.float64], shape: tuple[int, ...]) -> NiftiGrid:
    width, height, depth = shape
    if not isinstance(image, nibabel.Nifti1Pair):
        return NiftiGrid((width, height, depth), affine)
    qform, sform = (
        NiftiForm(None if form is None else np.asarray(form, np.float64), int(code))
        for form, code in (image.get_qform(coded=True), image.get_sform(coded=True))
    )
    voxel_mm = tuple(float(size) for size in image.header.get_zooms()[:3])
    flags = _flags_of_units(image.header.get_xyzt_units()[0], voxel_mm)
    # An affine registration scales the sform, and leaves the voxels as large as they were acquired.
    if np.allclose(np.linalg.norm(affine[:3, :3], axis=0), voxel_mm, rtol=_SAME_SIZE):
        return NiftiGrid((width, height, depth), affine, qform, sform, flags=tuple(flags))
    along = np.linalg.norm(affine[:3, :3], axis=0)
    ratios = along / np.maximum(voxel_mm, _SMALLEST_VOXEL_MM3)
    if max(ratios.max(), 1 / ratios.min()) > _MOST_SCALED:
        raise BadVolume(
            f"expected voxels of one size, got {_in_mm(voxel_mm)} by pixdim and {_in_mm(along)} by the transform; a "
            "registration does not scale that much, and which is right is unknown: correct the header"
        )
    flags.append("voxel_size_contradicts")
    return NiftiGrid((width, height, depth), affine, qform, sform, voxel_mm, tuple(flags))  # type: ignore[arg-type]


def _flags_of_units(unit: str, voxel_mm: Sequence[float]) -> list[str]:
    """What xyzt_units is worth beside the numbers.

    Raises:
        BadVolume: the numbers are no millimetres, as the unit says.
    """
    if unit not in _OTHER_UNITS:
        return []
    lowest, highest = _LIKELY_VOXEL_MM
    if all(lowest <= size <= highest for size in voxel_mm):
        return ["voxel_units_contradict"]
    sizes = " x ".join(f"{size:.3g}" for size in voxel_mm)
    raise BadVolume(f"expected millimetres, got voxels of {sizes} {unit} by xyzt_units: convert the header")
