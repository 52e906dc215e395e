"""Rigid registration of two FLAIR volumes of one head, by SciPy's optimiser and interpolation.

The correlation of the intensities is maximised (Pearson, over points in the head): two FLAIR scans of one head look
alike, on two scanners too, so that no histogram-based measure is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from segmentation.volume import FlairVolume

Affine = NDArray[np.float64]
_AIR: Final = 0.1  # of the 99th percentile: what is darker is air
_MOST_POINTS: Final = 6_000
_LEAST_INSIDE: Final = 0.5
# Smoothing of both volumes (mm), and how far the search steps at first: degrees and mm. Coarse, then fine.
_LEVELS: Final = ((5.0, 4.0), (2.0, 1.0))
_TOLERANCE: Final = 0.02  # of a degree or mm: far below a voxel
LEAST_CORRELATION: Final = 0.7
"""Below this it is doubtful that the two volumes were brought together. Measured by `make agreement`: one head at two
visits 0.90 and more, also by another vendor's protocol; heads of two patients 0.44 and less."""


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Registration:
    """Where the points of one volume are in another.

    Attributes:
        matrix: 4x4, rigid, mm of the fixed volume to mm of the moving one; both LPS.
        correlation: of the intensities after it, -1 to 1.
    """

    matrix: Affine
    correlation: float

    @property
    def is_good(self) -> bool:
        """False where the volumes were not brought together."""
        return self.correlation >= LEAST_CORRELATION


def register_rigidly(
    fixed: FlairVolume, fixed_affine: Affine, moving: FlairVolume, moving_affine: Affine
) -> Registration:
    """Bring the moving volume onto the fixed one; the same volumes give the same numbers on one machine.

    Args:
        fixed, moving: the volumes, of one head.
        fixed_affine, moving_affine: 4x4, (column, row, slice) indices to mm, LPS.
    """
    points, values = _points(fixed, fixed_affine)
    centre = points.mean(axis=0)
    to_centre = _head_centre(moving, moving_affine) - centre
    starts: list[NDArray[np.float64]] = [np.zeros(6), np.concatenate([np.zeros(3), to_centre])]
    best = np.zeros(6)
    for level, (sigma_mm, step) in enumerate(_LEVELS):
        match = _Match(fixed, points, values, centre, moving, moving_affine, sigma_mm)
        start = min(starts, key=match.cost) if level == 0 else best
        found = optimize.minimize(
            match.cost,
            start,
            method="Powell",
            options={"xtol": _TOLERANCE, "ftol": 1e-5, "direc": np.eye(6) * step, "maxiter": 20},
        )
        best = np.asarray(found.x, np.float64)
    return Registration(_matrix(best, centre), -float(match.cost(best)))


def resample_onto(
    registration: Registration,
    values: NDArray[np.float32],
    values_affine: Affine,
    shape: tuple[int, int, int],
    affine: Affine,
    order: int = 1,
) -> NDArray[np.float32]:
    """Values of the moving volume on the fixed grid; 0 outside, linear between voxels.

    Args:
        registration: of the two.
        values: float32 (slice, row, column), on the moving grid.
        values_affine: 4x4 of the moving grid, (column, row, slice) to mm, LPS.
        shape: (slice, row, column) of the fixed grid.
        affine: 4x4 of the fixed grid.
        order: 0 nearest, 1 linear.
    """
    to_moving = np.linalg.inv(values_affine) @ registration.matrix @ affine
    # ndimage's axes are (slice, row, column), the affines' (column, row, slice).
    turn = np.eye(4)[[2, 1, 0, 3]]
    matrix = turn @ to_moving @ turn
    found: NDArray[np.float32] = ndimage.affine_transform(values, matrix, output_shape=shape, order=order, cval=0.0)
    return found


class _Match:
    """How well the volumes fit at one level of smoothing."""

    def __init__(
        self,
        fixed: FlairVolume,
        points: NDArray[np.float64],
        values: NDArray[np.intp],
        centre: NDArray[np.float64],
        moving: FlairVolume,
        moving_affine: Affine,
        sigma_mm: float,
    ) -> None:
        self._points, self._centre = points, centre
        self._values = _smoothed(fixed, sigma_mm).ravel()[values].astype(np.float64)
        self._moving = _smoothed(moving, sigma_mm)
        self._to_index = np.linalg.inv(moving_affine)
        self._last = np.array(self._moving.shape, np.float64)[::-1] - 1

    def cost(self, parameters: NDArray[np.float64]) -> float:
        """Minus the correlation; 1 where too little of the head is in both."""
        moved = _applied(self._to_index @ _matrix(parameters, self._centre), self._points)
        inside = ((moved >= 0) & (moved <= self._last)).all(axis=1)
        if inside.mean() < _LEAST_INSIDE:
            return 1.0
        there = ndimage.map_coordinates(self._moving, moved[inside, ::-1].T, order=1, output=np.float64)
        here = self._values[inside]
        here, there = here - here.mean(), there - there.mean()
        size = float(np.sqrt((here @ here) * (there @ there)))
        return 1.0 if size == 0 else -float(here @ there) / size


def _points(volume: FlairVolume, affine: Affine) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Evenly spread points of the head in mm, and where they are in the flat array."""
    head = np.flatnonzero(volume.voxels > _AIR * np.percentile(volume.voxels, 99))
    if head.size == 0:
        head = np.arange(volume.voxels.size)
    chosen = head[:: max(1, head.size // _MOST_POINTS)]
    slices, rows, columns = np.unravel_index(chosen, volume.shape)
    return _applied(affine, np.stack([columns, rows, slices], axis=1).astype(np.float64)), chosen


def _head_centre(volume: FlairVolume, affine: Affine) -> NDArray[np.float64]:
    points, _ = _points(volume, affine)
    return np.asarray(points.mean(axis=0))


def _smoothed(volume: FlairVolume, sigma_mm: float) -> NDArray[np.float32]:
    """Clipped too: a few bright pixels of fat or vessels must not decide."""
    top = np.percentile(volume.voxels, 99)
    sigmas = [sigma_mm / spacing if spacing < 2 * sigma_mm else 0.0 for spacing in volume.spacing_mm]
    smoothed: NDArray[np.float32] = ndimage.gaussian_filter(np.minimum(volume.voxels, np.float32(top)), sigmas)
    return smoothed


def _matrix(parameters: NDArray[np.float64], centre: NDArray[np.float64]) -> Affine:
    """Three angles (degrees, about the head's centre) and three shifts (mm) as 4x4."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", parameters[:3], degrees=True).as_matrix()
    matrix[:3, 3] = centre + parameters[3:] - matrix[:3, :3] @ centre
    return matrix


def _applied(matrix: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])
