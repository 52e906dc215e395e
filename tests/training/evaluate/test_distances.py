"""Hausdorff distance and surface Dice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import directed_hausdorff

from training.evaluate.distances import hausdorff, surface_distances

SPACING = (6.5, 0.9, 0.9)


def _mask(*voxels: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((5, 12, 12), bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def test_two_voxels_by_hand() -> None:
    """3 columns and 4 rows apart: 5 steps, 4.5 mm at 0.9 mm; one slice apart: 6.5 mm."""
    one, other = _mask((2, 2, 2)), _mask((2, 6, 5))
    assert hausdorff(one, other, (1, 1, 1)) == pytest.approx(5)
    assert hausdorff(one, other, SPACING) == pytest.approx(4.5)
    assert hausdorff(one, _mask((3, 2, 2)), SPACING) == pytest.approx(6.5)


def test_the_larger_direction_counts() -> None:
    """One stray voxel sets the distance, whichever mask holds it."""
    one, other = _mask((2, 2, 2)), _mask((2, 2, 2), (2, 2, 11))
    assert hausdorff(one, other, (1, 1, 1)) == hausdorff(other, one, (1, 1, 1)) == pytest.approx(9)


def test_an_empty_mask_has_no_distance() -> None:
    """None, not infinity, when a mask is empty."""
    empty, full = _mask(), _mask((2, 2, 2))
    assert hausdorff(empty, full, SPACING) is None
    assert hausdorff(empty, empty, SPACING) is None
    assert surface_distances(full, empty, SPACING) is None


def test_surface_dice_by_hand() -> None:
    """Two voxels of which one agrees: 2 of the 3 border voxels lie within tolerance, all when it reaches the stray."""
    found = surface_distances(_mask((2, 2, 2)), _mask((2, 2, 2), (2, 2, 7)), (1, 1, 1))
    assert found is not None
    assert found.within(1.0) == pytest.approx(2 / 3)
    assert found.within(5.0) == 1
    assert found.percentile_95() == pytest.approx(np.percentile([0, 0, 5], 95))


def test_inner_voxels_are_no_border() -> None:
    """A solid block counts its shell only, at the edge of the volume too."""
    block = np.zeros((5, 12, 12), bool)
    block[:, 2:7, 2:7] = True
    found = surface_distances(block, block, (1, 1, 1))
    assert found is not None
    assert len(found.from_predicted) == 5 * 5 * 5 - 3 * 3 * 3


@settings(max_examples=40, deadline=None)
@given(arrays(bool, (3, 6, 7)), arrays(bool, (3, 6, 7)))
def test_as_scipy_has_it(one: np.ndarray, other: np.ndarray) -> None:
    """The same as SciPy's brute force over all voxels, in mm."""
    if not one.any() or not other.any():
        return
    first, second = np.argwhere(one) * SPACING, np.argwhere(other) * SPACING
    expected = max(directed_hausdorff(first, second)[0], directed_hausdorff(second, first)[0])
    assert hausdorff(one, other, SPACING) == pytest.approx(expected)
