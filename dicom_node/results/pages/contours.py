"""The border of a mask as polygons that run along the edges of its pixels."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]

# Sides of a pixel (column, row), walked with the pixel on the right: where from, where to, and the neighbour whose
# absence makes the side a border.
_SIDES: Final = (
    ((0, 0), (1, 0), (0, -1)),  # top, to the right
    ((1, 0), (1, 1), (1, 0)),  # right, downwards
    ((1, 1), (0, 1), (0, 1)),  # bottom, to the left
    ((0, 1), (0, 0), (-1, 0)),  # left, upwards
)


def contours_of(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Every closed border of a mask: around each part and around each hole in it.

    Filling all of them by the even-odd rule gives the mask again. Parts that touch at a corner only have a border each.

    Args:
        mask: bool (row, column).

    Returns:
        Polygons (point, 2) of (column, row) corners, where (0, 0) is the upper left corner of the first pixel and
        (1, 1) its lower right one; the last point is the first one again.
    """
    following = _sides_by_start(mask)
    polygons = []
    while following:
        start = next(iter(following))
        polygons.append(np.array(_walk(start, following), np.int64))
    return polygons


def pieces(polygon: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """A line in parts of at most `most` points, each beginning where the one before ends."""
    return [polygon[start : start + most] for start in range(0, len(polygon) - 1, most - 1)]


def _sides_by_start(mask: NDArray[np.bool_]) -> dict[Point, list[Point]]:
    """Where the border's sides lead to, by the corner that they start at; in row order, so that it is always alike."""
    padded = np.pad(mask, 1)
    following: dict[Point, list[Point]] = {}
    for start, end, (across, down) in _SIDES:
        rows, columns = padded.shape
        neighbour = padded[1 + down : rows - 1 + down, 1 + across : columns - 1 + across]
        for row, column in np.argwhere(mask & ~neighbour).tolist():
            at = (column + start[0], row + start[1])
            following.setdefault(at, []).append((column + end[0], row + end[1]))
    return following


def _walk(start: Point, following: dict[Point, list[Point]]) -> list[Point]:
    """Take one closed border out of the sides; only corners where it turns are kept."""
    points = [start]
    at, direction = start, None
    while True:
        to = _take(at, direction, following)
        step = (to[0] - at[0], to[1] - at[1])
        if step == direction:
            points[-1] = to
        else:
            points.append(to)
        at, direction = to, step
        if at == start:
            return points


def _take(at: Point, direction: Point | None, following: dict[Point, list[Point]]) -> Point:
    """The side to go on with: where two parts touch, the one to the right, which stays with the same part."""
    leads = following[at]
    chosen = 0
    if direction is not None and len(leads) == 2:
        right = (at[0] - direction[1], at[1] + direction[0])
        chosen = leads.index(right)
    to = leads.pop(chosen)
    if not leads:
        del following[at]
    return to
