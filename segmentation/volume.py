"""A FLAIR volume as the networks' side sees it: an array and its spacing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import BadVolume

Array = NDArray[Any]


@dataclass(frozen=True)
class FlairVolume:
    """Axial FLAIR intensities on their native grid.

    Attributes:
        voxels: float32 (slice, row, column), finite; slices ordered along the normal.
        spacing_mm: distance of voxel centres in mm, (slice, row, column). The first is the distance of slice centres
            projected on the normal, so that a gap counts towards the volume.

    Raises:
        BadVolume: not three axes, a non-finite value, or a spacing that is not positive.
    """

    voxels: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Check once, so that no later code must."""
        if self.voxels.ndim != 3 or 0 in self.voxels.shape:
            raise BadVolume(f"expected voxels of shape (slice, row, column), got {self.voxels.shape}")
        if self.voxels.dtype != np.float32:
            raise BadVolume(f"expected float32 voxels, got {self.voxels.dtype}")
        if not np.isfinite(self.voxels).all():
            raise BadVolume("expected finite intensities, got NaN or infinity")
        if len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise BadVolume(f"expected three positive spacings in mm (slice, row, column), got {self.spacing_mm}")

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL (1 mL = 1000 mm³)."""
        depth, height, width = self.spacing_mm
        return depth * height * width / 1000.0

    @property
    def voxels_digest(self) -> str:
        """sha256 of the intensities and their shape: names the images under whatever patient and UIDs they come."""
        shape = ",".join(str(length) for length in self.voxels.shape)
        return hashlib.sha256(shape.encode() + self.voxels.astype("<f4").tobytes()).hexdigest()
