"""Padding that no header declares, found from counted values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.undeclared_padding import ValueCounts, undeclared_padding

_DRAWN = np.random.default_rng(5)


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.float32])
def test_percentiles_of_counts_are_those_of_the_values(kind: type) -> None:
    """Counting slice by slice says what numpy says of all values at once."""
    volume = (_DRAWN.normal(400, 90, (7, 30, 20)).clip(0) * (1.5 if kind is np.float32 else 1)).astype(kind)
    counted = ValueCounts.of(volume)
    assert counted.counts.sum() == volume.size
    for percent in (0, 0.1, 37.3, 50, 99.9, 100):
        assert counted.percentile(percent) == pytest.approx(float(np.percentile(volume.astype(np.float64), percent)))


def _scan(filled: dict[int, int]) -> NDArray[np.int64]:
    """Values of a scan, 0 to 999, with so many voxels of others in its first slice."""
    volume = _DRAWN.integers(0, 1_000, (6, 50, 50))
    places = iter(range(2_500))
    for value, count in filled.items():
        volume[0].flat[[next(places) for _ in range(count)]] = value
    return volume


@pytest.mark.parametrize(
    ("filled", "found"),
    [
        ({}, ()),
        ({-1_024: 200}, (-1_024.0,)),
        ({-1_024: 20}, ()),  # too few: hot or dead pixels
        ({-400: 200}, ()),  # too near
        ({65_535: 200}, (65_535.0,)),
        ({-32_768: 200, 65_535: 200}, (-32_768.0, 65_535.0)),
        ({-2_000: 200, 3_000: 5}, (-2_000.0,)),
    ],
)
def test_only_a_common_value_far_away_is_padding(filled: dict[int, int], found: tuple[float, ...]) -> None:
    """One value, far from all others, of many voxels."""
    assert undeclared_padding(_scan(filled)) == found


def test_no_values_have_no_padding() -> None:
    """Neither nothing nor one value alone."""
    assert undeclared_padding([]) == ()
    assert undeclared_padding(np.full((3, 4, 4), 7)) == ()
