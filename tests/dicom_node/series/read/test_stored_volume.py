"""Intensities are kept in the smallest type that says the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.series.read.stored_volume import StoredVolume
from segmentation.volume import Stored

_NAN = float("nan")


def _filled(*slices: list[float]) -> Stored:
    volume = StoredVolume((len(slices), 1, len(slices[0])))
    for index, values in enumerate(slices):
        volume.put(index, np.asarray([values], np.float32))
    return volume.whole()


@pytest.mark.parametrize(
    ("slices", "kind"),
    [
        (([0, 7], [65_535, 1]), np.uint16),
        (([3, 32_767], [-1_024, 0]), np.int16),
        (([3, 32_768], [-1, 0]), np.float32),
        (([-1, 0], [32_768, 0]), np.float32),
        (([0, 7], [0.5, 3]), np.float32),
        (([0, 7], [65_536, 3]), np.float32),
        (([-7, 1], [0.25, 70_000], [1, 2]), np.float32),
        (([0, _NAN], [_NAN, 9]), np.uint16),
        (([-5, _NAN], [_NAN, 9]), np.int16),
    ],
)
def test_every_value_stays_in_the_smallest_type(slices: tuple[list[float], ...], kind: type) -> None:
    """Whatever comes in which order, all values are as they came, and whole numbers of 16 bits take half."""
    found = _filled(*slices)
    assert found.dtype == kind
    expected: NDArray[np.float32] = np.asarray(slices, np.float32)[:, np.newaxis]
    given = ~np.isnan(expected)
    assert np.array_equal(found[given], expected[given])


def test_padding_counts_as_the_darkest_of_the_scan() -> None:
    """Also in a slice that is nothing but padding, and before the darkest value comes."""
    assert _filled([_NAN, _NAN], [_NAN, 9], [4, 5]).ravel().tolist() == [4, 4, 4, 9, 4, 5]
    assert _filled([_NAN, -2.5], [_NAN, _NAN]).ravel().tolist() == [-2.5] * 4
