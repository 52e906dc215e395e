"""A mask without the empty rest around it says the same as the whole one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.boxed import BoxedMask

_SHAPE = (5, 7, 8)


def _mask(seed: int) -> NDArray[np.bool_]:
    """Marks in a part of the volume, of any size, which may be none."""
    random = np.random.default_rng(seed)
    mask = np.zeros(_SHAPE, bool)
    part = tuple(slice(*sorted(random.integers(0, length + 1, 2))) for length in _SHAPE)
    mask[part] = random.random(mask[part].shape) > 0.6
    return mask


@pytest.mark.parametrize("seed", range(20))
def test_slice_by_slice_and_whole_it_is_the_mask(seed: int) -> None:
    """Wherever the marks lie, none is lost and none is added."""
    mask, other = _mask(seed), _mask(seed + 100)
    boxed = BoxedMask.of(mask)
    assert len(boxed) == len(mask)
    assert boxed.any() == mask.any()
    np.testing.assert_array_equal(np.stack(list(boxed)), mask)
    np.testing.assert_array_equal(boxed.whole(), mask)
    np.testing.assert_array_equal(boxed.without(BoxedMask.of(other)).whole(), mask & ~other)


def test_the_tightest_box_holds_no_more_than_the_marks() -> None:
    """A mask that was measured in a larger box is kept in the least one."""
    mask = np.zeros(_SHAPE, bool)
    mask[2:4, 3, 5] = True
    whole = tuple(slice(0, length) for length in _SHAPE)
    tight = BoxedMask(_SHAPE, whole, mask).tight()
    assert tight.inside.shape == (2, 1, 1)
    np.testing.assert_array_equal(tight.whole(), mask)


def test_a_slice_beyond_the_volume_is_an_error() -> None:
    """Not an empty slice: whoever asks for it has counted wrong."""
    with pytest.raises(IndexError, match="expected a slice of 5, got 5"):
        BoxedMask.of(_mask(0))[5]
