"""A FLAIR volume as the networks' side sees it: an array and its spacing.

Intensities are float32. Nearly all series are whole numbers of 16 bits, which say the same in half of the memory: they
are kept as those and converted where they are looked at, slice by slice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import BadVolume

Array = NDArray[Any]
Stored = NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.int16]
"""Intensities as they are kept."""
WHOLE_NUMBERS: Final = (np.uint16, np.int16)


def as_float(stored: Stored) -> NDArray[np.float32]:
    """The same as float32; no copy of what is."""
    return np.asarray(stored, np.float32)


def require_stored(stored: Array) -> None:
    """
    Raises:
        ValueError: neither float32 nor whole numbers of 16 bits, or not (slice, row, column).
    """
    if stored.ndim != 3 or stored.dtype not in (np.float32, *WHOLE_NUMBERS):
        raise ValueError(
            f"expected (slice, row, column) of float32 or whole numbers of 16 bits, got {stored.dtype} {stored.shape}"
        )


@dataclass(frozen=True)
class FlairVolume:
    """Axial FLAIR intensities on their native grid.

    Attributes:
        stored: (slice, row, column), finite; slices ordered along the normal.
        spacing_mm: distance of voxel centres in mm, (slice, row, column). The first is the distance of slice centres
            projected on the normal, so that a gap counts towards the volume.
        columns_to_left: the patient's left lies where the column numbers are high (True) or low (False); None where
            that is not known, or where columns do not run across the head.

    Raises:
        BadVolume: not three axes, a non-finite value, or a spacing that is not positive.
    """

    stored: Stored
    spacing_mm: tuple[float, float, float]
    columns_to_left: bool | None = None

    def __post_init__(self) -> None:
        """Check once, so that no later code must."""
        if self.stored.ndim != 3 or 0 in self.stored.shape:
            raise BadVolume(f"expected voxels of shape (slice, row, column), got {self.stored.shape}")
        try:
            require_stored(self.stored)
        except ValueError as error:
            raise BadVolume(str(error)) from error
        if self.stored.dtype == np.float32 and not all(np.isfinite(plane).all() for plane in self.stored):
            raise BadVolume("expected finite intensities, got NaN or infinity")
        if len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise BadVolume(f"expected three positive spacings in mm (slice, row, column), got {self.spacing_mm}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slice, row, column)."""
        slices, rows, columns = self.stored.shape
        return slices, rows, columns

    @property
    def voxels(self) -> NDArray[np.float32]:
        """All intensities as float32: a copy, twice as large, where they are kept as whole numbers."""
        return as_float(self.stored)

    def plane(self, index: int) -> NDArray[np.float32]:
        """Intensities of one slice, (row, column)."""
        return as_float(self.stored[index])

    def inside(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Intensities where a mask of the same shape is set, in a row."""
        return as_float(self.stored[mask])

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL (1 mL = 1000 mm³)."""
        depth, height, width = self.spacing_mm
        return depth * height * width / 1000.0

    @property
    def voxels_digest(self) -> str:
        """sha256 of the intensities and their shape: names the images under whatever patient and UIDs they come."""
        shape = ",".join(str(length) for length in self.shape)
        return hashlib.sha256(shape.encode() + self.voxels.astype("<f4").tobytes()).hexdigest()
