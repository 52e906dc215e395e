"""Polygons back to masks, by another way than the one that made them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def filled(polygons: Iterable[Any], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centre lies inside, by the even-odd rule: vertical sides to the left of it are counted.

    Args:
        polygons: closed, (point, 2) of (column, row), with sides along the axes.
        shape: (rows, columns).
    """
    crossings = np.zeros(shape, int)
    for polygon in polygons:
        for (column, row), (to_column, to_row) in pairwise(polygon):
            assert column == to_column or row == to_row, "a side that runs askew"
            first, last = sorted((round(row), round(to_row)))
            crossings[first:last, round(column) :] += column == to_column
    return crossings % 2 == 1
