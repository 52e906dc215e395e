"""The lesion list, and how far WMH extends."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.anatomy import Anatomy
from segmentation.lesions import Extent, Fazekas, Lesion, list_lesions, measure_extent

_SPACING = (5.0, 1.0, 1.0)
_VOXEL_ML = 0.005
_SHAPE = (3, 80, 80)


def _box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(_SHAPE, bool)
    mask[1, rows, columns] = True
    return mask


_VENTRICLES = _box(slice(30, 50), slice(35, 45))


def _anatomy() -> Anatomy:
    left, cortex, infratentorial = np.zeros(_SHAPE, bool), np.zeros(_SHAPE, bool), np.zeros(_SHAPE, bool)
    left[:, :, 40:] = True
    cortex[:, :, :4] = True
    infratentorial[0] = True
    return Anatomy.of(np.ones(_SHAPE, bool), _VENTRICLES, infratentorial, left, cortex)


def test_lesions_have_size_side_and_place() -> None:
    """Largest first; a speck is no lesion; sides and places are those of most of the lesion."""
    near = _box(slice(30, 44), slice(46, 50))
    cortical = _box(slice(60, 64), slice(5, 10))
    deep = _box(slice(5, 9), slice(60, 64))
    below = np.zeros(_SHAPE, bool)
    below[0, 10:13, 38:42] = True
    speck = _box(slice(70, 71), slice(70, 72))
    mask = near | cortical | deep | below | speck
    left = np.zeros(_SHAPE, bool)
    left[:, :, 40:] = True
    assert list_lesions(mask, _VOXEL_ML, _SPACING, near, _anatomy(), left) == (
        Lesion(56 * _VOXEL_ML, "left", "periventricular"),
        Lesion(20 * _VOXEL_ML, "right", "juxtacortical"),
        Lesion(16 * _VOXEL_ML, "left", "deep"),
        Lesion(12 * _VOXEL_ML, "both", "infratentorial"),
    )


def test_what_is_unknown_is_not_said() -> None:
    """Where the left half is not known there is no side, without ventricles no place."""
    deep = _box(slice(5, 9), slice(60, 64))
    (plain,) = list_lesions(deep, _VOXEL_ML, _SPACING)
    assert (plain.side, plain.place) == (None, None)
    (placed,) = list_lesions(deep, _VOXEL_ML, _SPACING, np.zeros(_SHAPE, bool))
    assert (placed.side, placed.place) == (None, "deep")


@pytest.mark.parametrize("thick", [0, 4, 10])
def test_the_periventricular_extent_is_the_thickness_of_the_band(thick: int) -> None:
    """A band beside the ventricle extends as far as it reaches, and is no deep lesion."""
    band = _box(slice(30, 50), slice(45, 45 + thick))
    found = measure_extent(band, _VENTRICLES, _VOXEL_ML, _SPACING)
    assert (found.periventricular, found.deep) == (thick * _SPACING[2], 0.0)


@pytest.mark.parametrize("wide", [3, 10, 25])
def test_the_deep_extent_is_the_longest_diameter(wide: int) -> None:
    """A lesion away from the ventricles extends by its longest diameter in a slice, over the corners too."""
    lesion = _box(slice(5, 5 + wide), slice(60, 63))
    found = measure_extent(lesion, _VENTRICLES, _VOXEL_ML, _SPACING)
    assert found.periventricular == 0.0
    assert wide * _SPACING[1] <= found.deep <= float(np.hypot(wide, 3)) * _SPACING[1]


@pytest.mark.parametrize(
    ("extent", "grades"),
    [
        (Extent(0.0, 0.0), Fazekas(0, 0)),
        (Extent(4.9, 9.9), Fazekas(1, 1)),
        (Extent(5.0, 10.0), Fazekas(2, 2)),
        (Extent(10.0, 25.0), Fazekas(3, 3)),
    ],
)
def test_the_grades_are_those_of_the_published_sizes(extent: Extent, grades: Fazekas) -> None:
    """Noh et al. 2014: caps and bands by 5 and 10 mm, deep lesions by 10 and 25 mm."""
    assert extent.fazekas == grades
