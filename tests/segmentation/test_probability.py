"""Probabilities on the native grid, slice by slice."""

from __future__ import annotations

import numpy as np

from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.probability import ProbabilityMap


def test_slices_and_whole_are_one_mapping() -> None:
    """A slice asked for alone has the bits that it has in the whole volume, mapped back at once."""
    grid = SliceGrid((40, 30), (0.7, 0.9), 24)
    mean = np.random.default_rng(1).random((5, 24, 24), np.float32)
    found = ProbabilityMap(mean, grid)
    assert found.whole().tobytes() == grid.to_native(mean).tobytes()
    assert found.inside(3).tobytes() == grid.to_native(mean)[3].tobytes()
    assert (grid.to_native_mask(mean, 0.5) == (grid.to_native(mean) >= 0.5)).all()


def test_outside_the_brain_it_is_nothing() -> None:
    """What the networks say outside the brain is 0, and can be asked for; without a brain all is kept."""
    mean = np.full((1, 4, 4), 0.9, np.float32)
    brain = np.zeros((1, 4, 4), bool)
    brain[0, 1:] = True
    found = ProbabilityMap(mean, None, brain)
    assert not found.whole()[~brain].any()
    np.testing.assert_array_equal(found.whole()[brain], mean[brain])
    np.testing.assert_array_equal(found.anywhere(0), mean[0])
    np.testing.assert_array_equal(ProbabilityMap(mean).whole(), mean)
