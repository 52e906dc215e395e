"""Solids as signed depths: mm inside the surface, negative outside. Points are float32 arrays x, y, z in mm, LPS."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Triple = tuple[float, float, float]


class Points(NamedTuple):
    """Sample points in mm, LPS, origin near the middle of the brain: x to the left, y to the back, z to the head."""

    x: Field
    y: Field
    z: Field

    def mirrored(self) -> Points:
        """Both halves folded onto the left one, for solids that come in pairs."""
        return Points(np.abs(self.x), self.y, self.z)


def ellipsoid(points: Points, centre: Triple, radii: Triple) -> Field:
    """Depth inside an ellipsoid, exact to first order at its surface."""
    a = (points.x - centre[0]) / np.float32(radii[0])
    b = (points.y - centre[1]) / np.float32(radii[1])
    c = (points.z - centre[2]) / np.float32(radii[2])
    level = np.sqrt(a * a + b * b + c * c) + np.float32(1e-4)
    slope = np.sqrt((a / radii[0]) ** 2 + (b / radii[1]) ** 2 + (c / radii[2]) ** 2) / level + np.float32(1e-6)
    depth: Field = ((1.0 - level) / slope).astype(np.float32)
    return np.clip(depth, -200.0, max(radii))


def tube(points: Points, path: Sequence[tuple[float, float, float, float]]) -> Field:
    """Depth inside a tube along a polyline of (x, y, z, radius), the radius changing linearly between the knots."""
    best = np.full(points.x.shape, -200.0, np.float32)
    for (x0, y0, z0, r0), (x1, y1, z1, r1) in pairwise(path):
        dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
        along = ((points.x - x0) * dx + (points.y - y0) * dy + (points.z - z0) * dz) / np.float32(dx**2 + dy**2 + dz**2)
        along = np.clip(along, 0.0, 1.0)
        away = np.sqrt(
            (points.x - x0 - along * dx) ** 2 + (points.y - y0 - along * dy) ** 2 + (points.z - z0 - along * dz) ** 2
        )
        np.maximum(best, r0 + along * np.float32(r1 - r0) - away, out=best)
    return best


def union(first: Field, second: Field, blend_mm: float) -> Field:
    """Both solids, their crease rounded over `blend_mm`."""
    difference = first - second
    joined: Field = 0.5 * (first + second + np.sqrt(difference * difference + np.float32(blend_mm**2)))
    return joined


def meet(first: Field, second: Field, blend_mm: float) -> Field:
    """What lies in both solids, the edge rounded over `blend_mm`."""
    return -union(-first, -second, blend_mm)


def inside(depth: Field, soft_mm: float) -> Field:
    """Part of a sample that lies inside, 0 to 1, with an edge about `soft_mm` wide (partial volume)."""
    part: Field = np.clip(depth / np.float32(soft_mm) + 0.5, 0.0, 1.0).astype(np.float32)
    return part
