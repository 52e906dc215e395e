"""White matter hyperintensities: caps and bands at the ventricles, and patches in the deep white matter.

Lesions are where a level field (mm) exceeds a threshold; raising the threshold shrinks every lesion, so that any wanted
volume is met by one number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicom_node.demo.phantom.anatomy import Tissues
from dicom_node.demo.phantom.shapes import Field, Points

_NOWHERE = np.float32(-100.0)
# Deep patches count as this much thicker, so that about a third of a usual load lies deep.
_DEEP_MM = 1.5
# Where periventricular lesions are thickest (x, y, z, reach, mm): frontal horns, atria, occipital horns, body.
_CAPS = (
    (14.0, -40.0, 7.0, 15.0, 8.0),
    (29.0, 34.0, 13.0, 17.0, 9.0),
    (26.0, 52.0, 7.0, 13.0, 6.0),
    (14.0, 4.0, 22.0, 20.0, 4.0),
)


@dataclass(frozen=True)
class _Patch:
    centre: tuple[float, float, float]
    radius_mm: float
    squeeze: tuple[float, float, float]


class Lesions:
    """One person's lesions, drawn from a random generator."""

    def __init__(self, random: np.random.Generator) -> None:
        self._sides = [tuple(float(v) for v in random.uniform(0.75, 1.2, 2)) for _ in _CAPS]
        self._patches = [self._draw_patch(random) for _ in range(int(random.integers(14, 24)))]

    @staticmethod
    def _draw_patch(random: np.random.Generator) -> _Patch:
        side = 1.0 if random.random() < 0.5 else -1.0
        return _Patch(
            centre=(
                side * float(random.uniform(16.0, 38.0)),
                float(random.uniform(-42.0, 48.0)),
                float(random.uniform(12.0, 46.0)),
            ),
            radius_mm=float(np.clip(random.lognormal(1.25, 0.4), 2.0, 8.0)),
            squeeze=tuple(float(v) for v in random.uniform(0.75, 1.35, 3)),  # type: ignore[arg-type]
        )

    def level(self, points: Points, tissues: Tissues, fine: Field) -> Field:
        """How far inside a lesion each point lies, in mm at threshold 0; far below zero outside white matter."""
        level = (
            np.maximum(self._periventricular(points, tissues), self._deep(points) + np.float32(_DEEP_MM))
            + np.float32(1.3) * fine
        )
        # White matter only, a little away from cortex and from the fluid.
        allowed = np.minimum(tissues.white_depth_mm + 1.0, tissues.from_lateral_ventricle_mm + 0.5)
        level = np.minimum(level, 2.0 * allowed)
        level[tissues.brain < 0.3] = _NOWHERE
        checked: Field = level.astype(np.float32)
        return checked

    def _periventricular(self, points: Points, tissues: Tissues) -> Field:
        away = tissues.from_lateral_ventricle_mm
        thickness: Field = np.full(points.x.shape, 0.5, np.float32)
        left = points.x > 0
        pair = points.mirrored()
        for (cx, cy, cz, reach, mm), (gain_left, gain_right) in zip(_CAPS, self._sides, strict=True):
            distance = (pair.x - cx) ** 2 + (pair.y - cy) ** 2 + (0.8 * (pair.z - cz)) ** 2
            gain = np.where(left, gain_left, gain_right)
            thickness += gain * np.float32(mm) * np.exp(-distance / np.float32(reach**2))
        level: Field = (thickness - away).astype(np.float32)
        return level

    def _deep(self, points: Points) -> Field:
        best = np.full(points.x.shape, _NOWHERE, np.float32)
        for patch in self._patches:
            (cx, cy, cz), (sx, sy, sz) = patch.centre, patch.squeeze
            away = np.sqrt(((points.x - cx) * sx) ** 2 + ((points.y - cy) * sy) ** 2 + ((points.z - cz) * sz) ** 2)
            np.maximum(best, np.float32(patch.radius_mm) - away, out=best)
        return best
