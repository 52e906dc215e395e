"""Probabilities on the native grid, slice by slice."""

from __future__ import annotations

import numpy as np
import pytest

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


@pytest.mark.parametrize("native", [((100, 80), (0.5, 0.5)), ((20, 24), (2.0, 3.0)), ((64, 64), (1.0, 1.0))])
@pytest.mark.parametrize("seed", range(5))
def test_a_map_that_was_cut_says_the_same_in_the_brain(
    native: tuple[tuple[int, int], tuple[float, float]], seed: int
) -> None:
    """To the last bit, for native pixels finer, coarser and of the networks' size, and holds less."""
    random = np.random.default_rng(seed)
    shape, spacing_mm = native
    grid = SliceGrid(shape, spacing_mm, 64)
    mean = random.random((5, 64, 64)).astype(np.float32)
    brain = np.zeros((5, *shape), bool)
    rows, columns = (sorted(random.integers(0, length + 1, 2)) for length in shape)
    brain[1:4, slice(*rows), slice(*columns)] = random.random((3, rows[1] - rows[0], columns[1] - columns[0])) > 0.5
    whole = ProbabilityMap(mean, grid, brain)
    cut = whole.cut()
    assert len(cut) == len(whole)
    assert cut.mean.size < mean.size
    np.testing.assert_array_equal(cut.whole(), whole.whole())
