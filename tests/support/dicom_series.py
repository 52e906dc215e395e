"""Real FLAIR scans (NIfTI, shared data) and made-up grids as DICOM series with exact geometry.

series_from_nifti(path, folder)                        a whole scan, one MR Image instance per slice
series_from_nifti(path, folder, enhanced=True)         one Enhanced MR instance with interleaved frames
write_scan(scan_from_nifti(path).tilted(12), folder)   any variation of a scan
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from dicom_node.demo.phantom.dicom_series import SeriesDescription, classic_series, enhanced_instance

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Scan:
    """Stored values on a grid.

    Attributes:
        stored: uint16 or int16 (slice, row, column), slices from feet to head, front on top, patient's right first.
        affine: (column, row, slice index, 1) to mm, LPS.
        name: that the UIDs are derived from.
    """

    stored: NDArray[np.int16] | NDArray[np.uint16]
    affine: NDArray[np.float64]
    name: str

    def tilted(self, degrees: float, axis: int = 0) -> Scan:
        """The same voxels, as if the slices had been planned oblique: turned about a patient axis (0 left-right)."""
        angle = np.deg2rad(degrees)
        turn = np.eye(4)
        one, two = [other for other in range(3) if other != axis]
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        return replace(self, affine=turn @ self.affine, name=f"{self.name} tilted {degrees} {axis}")

    def cropped(self, *, rows: slice = slice(None), columns: slice = slice(None), slices: slice = slice(None)) -> Scan:
        """A part of the grid, or every n-th row, column or slice; the affine follows."""
        starts = [
            part.indices(length)[0]
            for part, length in zip((columns, rows, slices), self.stored.shape[::-1], strict=True)
        ]
        steps = [part.step or 1 for part in (columns, rows, slices)]
        affine = self.affine.copy()
        affine[:3, 3] = self.affine[:3, :3] @ starts + self.affine[:3, 3]
        affine[:3, :3] = self.affine[:3, :3] * steps
        name = f"{self.name} {rows} {columns} {slices}"
        return Scan(np.ascontiguousarray(self.stored[slices, rows, columns]), affine, name)

    @property
    def step_mm(self) -> float:
        """Distance of slice centres."""
        return float(np.linalg.norm(self.affine[:3, 2]))


def scan_from_nifti(path: Path) -> Scan:
    """Read a NIfTI (RAS affine) and turn it to the usual display of axial slices."""
    image = nibabel.load(path)
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(image.affine), nibabel.orientations.axcodes2ornt("LPS")
    )
    turned = image.as_reoriented(turn)
    values = np.asarray(turned.dataobj)
    stored = values.astype(np.int16) if values.min() < 0 else values.astype(np.uint16)
    return Scan(
        np.ascontiguousarray(stored.transpose(2, 1, 0)), _RAS_TO_LPS @ turned.affine, path.parent.name + path.name
    )


def small_scan(slices: int = 8, rows: int = 48, columns: int = 40) -> Scan:
    """A made-up grid that no two voxels of a neighbourhood share: fast, for tests of geometry."""
    random = np.random.default_rng(7)
    stored = random.integers(0, 4096, (slices, rows, columns)).astype(np.uint16)
    affine = np.diag([1.5, 2.0, 6.0, 1.0])
    affine[:3, 3] = [-30.5, -48.25, -20.0]
    return Scan(stored, affine, f"small {slices} {rows} {columns}")


def about_scan(scan: Scan, **changes: object) -> SeriesDescription:
    """Headers of a plain brain FLAIR, with changes by field name."""
    about = SeriesDescription(
        uid_root=f"wmh-node test {scan.name}",
        patient_name="TEST^SCAN",
        patient_id="TEST-1",
        description="t2_tirm_tra_dark-fluid",
        protocol="FLAIR",
        slice_thickness_mm=scan.step_mm * 0.85,
    )
    return replace(about, **changes)  # type: ignore[arg-type]


def write_scan(
    scan: Scan, folder: Path, *, enhanced: bool = False, shuffled: bool = True, **changes: object
) -> list[Path]:
    """Write a scan as DICOM; returns the files in slice order.

    Args:
        scan: the grid.
        folder: is made.
        enhanced: one Enhanced MR instance, frames interleaved.
        shuffled: file names and InstanceNumber in an order that has nothing to do with position.
        changes: fields of SeriesDescription, such as `description=`, `inversion_ms=`, `rescale=`, `extra=`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = about_scan(scan, **changes)
    if enhanced:
        instances: Sequence = [enhanced_instance(scan.stored, scan.affine, about)]
    else:
        instances = classic_series(scan.stored, scan.affine, about)
    names = list(range(len(instances)))
    if shuffled:
        np.random.default_rng(3).shuffle(names)
    files = []
    for name, instance in zip(names, instances, strict=True):
        instance.InstanceNumber = name + 1
        path = folder / f"image-{name:04d}.dcm"
        instance.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def series_from_nifti(
    flair_path: Path, folder: Path, *, every: int = 1, enhanced: bool = False, **variations: object
) -> list[Path]:
    """Write a NIfTI FLAIR as an MR series; returns the files in slice order. Variations as for `write_scan`.

    Args:
        every: 2 takes every second slice of the head only, for tests that segment it with the shipped model.
    """
    scan = scan_from_nifti(flair_path).cropped(slices=slice(None, None, every))
    return write_scan(scan, folder, enhanced=enhanced, **variations)  # type: ignore[arg-type]
