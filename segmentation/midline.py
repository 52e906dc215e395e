"""The midline of an axial brain: which side a pixel lies on, and what lies at the same place of the other side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Midline:
    """The long axis of a brain in the plane of the slices: an axial brain is longer than it is wide.

    Attributes:
        centre_mm: a point on it, (row, column).
        angle: of the axis from the direction of the rows, in radians.
        spacing_mm: of rows and of columns.
    """

    centre_mm: tuple[float, float]
    angle: float
    spacing_mm: tuple[float, float]

    @classmethod
    def of(cls, weight: NDArray[np.bool_] | NDArray[np.int64], spacing_mm: tuple[float, float]) -> Midline:
        """By the second moments.

        Args:
            weight: (row, column), how much brain lies there; not 0 everywhere.
            spacing_mm: of rows and of columns.
        """
        mass = weight.astype(float)
        rows, columns = (np.arange(n) * s for n, s in zip(mass.shape, spacing_mm, strict=True))
        total = mass.sum()
        centre = float((mass.sum(axis=1) * rows).sum() / total), float((mass.sum(axis=0) * columns).sum() / total)
        y, x = rows[:, None] - centre[0], columns[None, :] - centre[1]
        yy, xx, xy = (float((mass * product).sum()) for product in (y * y, x * x, y * x))
        return cls(centre, float(0.5 * np.arctan2(2 * xy, yy - xx)), spacing_mm)

    def places(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """(along, across) the midline in mm from its centre, each (row, column)."""
        y, x = (np.arange(n) * s - c for n, s, c in zip(shape, self.spacing_mm, self.centre_mm, strict=True))
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return y[:, None] * cosine + x[None, :] * sine, x[None, :] * cosine - y[:, None] * sine

    def one_side(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """True on one side, (row, column)."""
        return np.asarray(self.places(shape)[1] > 0)

    def other_side(self, plane: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        """What the plane (row, column) holds at the mirrored place of each pixel; `outside` beyond its edge."""
        along, across = self.places(plane.shape[:2])
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        y = along * cosine + across * sine
        x = along * sine - across * cosine
        places = [(p + c) / s for p, c, s in zip((y, x), self.centre_mm, self.spacing_mm, strict=True)]
        return np.asarray(ndimage.map_coordinates(plane, places, order=1, cval=outside), np.float32)
