"""Borders of masks as polygons."""

from __future__ import annotations

import numpy as np
import pytest
from support.rasters import filled

from dicom_node.results.pages.contours import contours_of, pieces


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_filling_the_polygons_gives_the_mask(density: float) -> None:
    """Parts, holes, touching corners and the image's own edge all come back to the pixel."""
    mask = np.random.default_rng(5).random((37, 29)) < density
    polygons = contours_of(mask)
    assert np.array_equal(filled(polygons, mask.shape), mask)
    assert all(np.array_equal(polygon[0], polygon[-1]) for polygon in polygons)


def test_a_rectangle_has_five_points() -> None:
    """Only corners are kept: four, and the first one again, along the outer edges of the pixels."""
    mask = np.zeros((9, 9), bool)
    mask[2:5, 3:7] = True
    (polygon,) = contours_of(mask)
    assert polygon.tolist() == [[3, 2], [7, 2], [7, 5], [3, 5], [3, 2]]


def test_parts_that_touch_at_a_corner_stay_apart() -> None:
    """Two pixels that share a corner have a border each, and a hole has its own."""
    corners = np.eye(2, dtype=bool)
    assert len(contours_of(corners)) == 2
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert len(contours_of(ring)) == 2


@pytest.mark.parametrize("points", [2, 4, 5, 6, 7, 10, 11])
def test_pieces_join_to_the_whole_line(points: int) -> None:
    """Every side of a line is in one piece, and no piece has more points than wanted or fewer than two."""
    line = np.arange(2 * points).reshape(points, 2)
    parts = pieces(line, 4)
    assert all(2 <= len(part) <= 4 for part in parts)
    sides = [side for part in parts for side in zip(part[:-1].tolist(), part[1:].tolist(), strict=True)]
    assert sides == list(zip(line[:-1].tolist(), line[1:].tolist(), strict=True))
