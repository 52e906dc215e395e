"""The part of a volume that holds what was marked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from segmentation.boxes import box_of, sizes_of, within_mm


def test_the_box_holds_all_that_is_marked_and_no_more() -> None:
    """It ends at the outermost marked places, wider by the margin, within the array."""
    mask = np.zeros((6, 7, 8), bool)
    mask[1, 2, 3] = mask[4, 5, 6] = True
    assert box_of(mask) == (slice(1, 5), slice(2, 6), slice(3, 7))
    assert box_of(mask, 0, 2, 2) == (slice(1, 5), slice(0, 7), slice(1, 8))
    assert mask[box_of(np.zeros_like(mask))].size == 0


def test_sizes_of_labels() -> None:
    """Voxels of each label, the background first, as of the whole volume at once."""
    labels, count = ndimage.label(np.random.default_rng(2).random((4, 9, 9)) > 0.8)
    np.testing.assert_array_equal(sizes_of(labels, count), np.bincount(labels.ravel()))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (0.43, 0.43), (0.5, 0.9375), (2.0, 0.7)])
@pytest.mark.parametrize("by_mm", [0.0, 0.9375, 2.5, 40.0])
def test_within_a_distance_is_as_the_distance_transform_says(spacing_mm: tuple[float, float], by_mm: float) -> None:
    """The same pixels, those at the distance exactly too, also where the slice ends before."""
    plane = np.random.default_rng(7).random((23, 31)) > 0.97
    expected = ndimage.distance_transform_edt(~plane, spacing_mm) <= by_mm
    assert np.array_equal(within_mm(plane, by_mm, spacing_mm), expected)
    assert not within_mm(np.zeros_like(plane), by_mm, spacing_mm).any()
