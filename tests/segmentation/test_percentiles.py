"""A percentile without a copy of the volume."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.percentiles import percentile

_RANDOM = np.random.default_rng(1)
_VOLUMES = {
    "signed": _RANDOM.normal(size=(5, 33, 41)),
    "whole numbers": _RANDOM.integers(0, 300, (5, 33, 41)),
    "one value": np.zeros((2, 3, 4)),
    "wide range": np.exp(9 * _RANDOM.normal(size=(3, 50, 50))) * _RANDOM.choice([-1, 1], (3, 50, 50)),
    "two values": np.asarray([[[1.0, 7.0]]]),
    "a row": _RANDOM.normal(size=1001),
}


@pytest.mark.parametrize("name", _VOLUMES)
def test_it_is_what_numpy_gives(name: str) -> None:
    """To the last bit, at both ends and between."""
    volume = _VOLUMES[name].astype(np.float32)
    for percent in (0, 0.5, 1.0, 33.3, 50, 95, 99.5, 99.9, 100):
        assert percentile(volume, percent) == float(np.percentile(volume, percent))


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_whole_numbers_give_the_same_as_floats(kind: type) -> None:
    """Over the whole range of the type, in slices and in a row."""
    ends = np.iinfo(kind)
    volume = _RANDOM.integers(ends.min, ends.max, (4, 31, 27), dtype=kind, endpoint=True)
    for values in (volume, volume[:, ::2, 1:], volume.ravel(), np.asarray([ends.min, ends.max], kind)):
        for percent in (0, 1.0, 33.3, 50, 99.9, 100):
            assert percentile(values, percent) == float(np.percentile(values.astype(np.float32), percent))


@pytest.mark.parametrize(("values", "percent"), [(np.empty((0, 2), np.float32), 50), (np.zeros(3), 50)])
def test_what_has_none_is_refused(values: np.ndarray, percent: float) -> None:
    """No value, or another type than it is for, is an error that says so."""
    with pytest.raises(ValueError, match="expected values of float32"):
        percentile(values, percent)
