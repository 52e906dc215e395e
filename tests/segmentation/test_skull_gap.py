"""The skull is looked for all around the brain, and missed only where one side lacks it."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.anatomy import Anatomy
from segmentation.skull_gap import skull_gap_mm
from segmentation.volume import FlairVolume

_WIDE_MM = 240.0
_MM = 1.5


def _places(mm: float) -> tuple[np.ndarray, np.ndarray]:
    """mm from the middle of a picture of such pixels."""
    side = round(_WIDE_MM / mm)
    rows, columns = np.indices((side, side), float)
    return (rows - side / 2) * mm, (columns - side / 2) * mm


def _head(
    hole_mm: float = 0.0, *, sides: tuple[int, ...] = (1,), slices: int = 6, skull: bool = True, mm: float = _MM
) -> FlairVolume:
    """Brain, dark bone of 8 mm and scalp of 6 mm; holes in the bone so long, in the middle of a side, hold brain."""
    y, x = _places(mm)
    brain, bone, scalp = ((y / (85 + d)) ** 2 + (x / (66 + d)) ** 2 <= 1.0 for d in (0, 8, 14))
    plane = np.select([brain, bone, scalp], [1000.0, 100.0 if skull else 0.0, 1500.0 if skull else 0.0], 0.0)
    for side in sides:
        plane[bone & ~brain & (np.abs(y) < hole_mm / 2) & (side * x > 0)] = 1000.0
    return FlairVolume(np.repeat(plane[None], slices, axis=0).astype(np.float32), (6.0, mm, mm))


def _anatomy(volume: FlairVolume, infratentorial: bool = False) -> Anatomy:
    y, x = _places(volume.spacing_mm[1])
    plane = (y / 85) ** 2 + (x / 66) ** 2 <= 1.0
    brain = np.repeat(plane[None], len(volume.voxels), axis=0)
    none = np.zeros_like(brain)
    return Anatomy.of(brain, none, brain if infratentorial else none, none, none)


def _gap(volume: FlairVolume, **options: bool) -> float:
    anatomy = _anatomy(volume, **options)
    return skull_gap_mm(volume, anatomy.brain, anatomy.infratentorial)


@pytest.mark.parametrize("mm", [1.0, 1.5, 1.8, 2.0, 2.6])
@pytest.mark.parametrize("hole_mm", [40.0, 70.0])
def test_a_hole_on_one_side_has_its_length(hole_mm: float, mm: float) -> None:
    """Within the width of two sectors, in pixels of every size; a whole skull has none in any."""
    assert _gap(_head(hole_mm, mm=mm)) == pytest.approx(hole_mm, abs=13.0)
    assert _gap(_head(mm=mm)) == 0.0


def test_where_no_gap_is_seen() -> None:
    """A whole skull, none at all, holes on both sides, one slice only, or the skull base."""
    assert _gap(_head()) == 0.0
    assert _gap(_head(skull=False)) == 0.0
    assert _gap(_head(60.0, sides=(-1, 1))) == 0.0
    assert _gap(_head(60.0), infratentorial=True) == 0.0
    whole, open_ = _head(), _head(60.0)
    voxels = whole.voxels.copy()
    voxels[2] = open_.voxels[2]
    assert _gap(FlairVolume(voxels, whole.spacing_mm)) == 0.0
