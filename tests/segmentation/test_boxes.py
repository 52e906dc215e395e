"""The part of a volume that holds what was marked."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from segmentation.boxes import box_of, sizes_of


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
