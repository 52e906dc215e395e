"""Representative cases (paper, Fig 2): the slice, what the reader and the model marked, and where the model doubts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from training.evaluate.gallery import ShownCase
from training.report.figures.style import (
    INK,
    ORANGE,
    SKY,
    SMALL,
    VERMILION,
    NotDrawn,
    Picture,
    new_figure,
    png,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS: Final = ("FLAIR", "manual, automatic", "uncertainty")
SHOWN_AT_MOST: Final = 6
_WIDTH_IN: Final = 10.1
_COLUMN_IN: Final = 2.2
_TITLE_IN: Final = 0.5
_MARGIN_PIXELS: Final = 4
_NAME_ROOM: Final = 18
_THIN: Final = 0.45  # points: a line as wide as a pixel would fill small lesions
_BROAD: Final = 1.1  # the manual line is seen on both sides of the automatic one where they agree


def draw_representative(cases: Sequence[ShownCase]) -> Picture:
    """One column a case, low uncertainty at the left; one row a layer. Orange is deeper where the model is less sure.

    The slice is cropped to the head and drawn pixel by pixel in its true proportions.
    """
    shown = sorted(cases, key=lambda case: (case.level == "high", case.uncertainty_index, case.case))[:SHOWN_AT_MOST]
    if not shown:
        return NotDrawn("no slice was kept to show")
    boxes = [_head_box(case.image) for case in shown]
    column_in = min(_COLUMN_IN, _WIDTH_IN / len(shown))
    tallest = max(_proportion(case, box) for case, box in zip(shown, boxes, strict=True))
    size = (column_in * len(shown) + 0.3, column_in * tallest * len(ROWS) + _TITLE_IN)
    figure, grid = new_figure(size, len(ROWS), len(shown), squeeze=False)
    for column, (case, box) in enumerate(zip(shown, boxes, strict=True)):
        _draw_column(grid[:, column], case, box)
    for axes, name in zip(grid[:, 0], ROWS, strict=True):
        axes.set_ylabel(name, fontsize=SMALL, color=INK)
    words = "; ".join(_title(case).replace("\n", ", ") for case in shown)
    return png(figure, f"Representative cases: {words}")


def _draw_column(column: Sequence[Axes], case: ShownCase, box: tuple[slice, slice]) -> None:
    image = case.image[box]
    low, high = _window(image)
    aspect = case.pixel_mm[0] / case.pixel_mm[1]
    for axes in column:
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    _outline(column[1], case.manual[box], VERMILION, _BROAD)
    _outline(column[1], case.predicted[box], SKY)
    _shade(column[2], case.uncertainty[box], aspect)
    _outline(column[2], case.predicted[box], SKY)
    column[0].set_title(_title(case), fontsize=SMALL, color=INK, parse_math=False)


def _title(case: ShownCase) -> str:
    return f"{short(case.case, _NAME_ROOM)}\nUI {case.uncertainty_index:.2f} · DSC {case.dsc:.2f}"


def _outline(axes: Axes, mask: NDArray[np.bool_], colour: str, width: float = _THIN) -> None:
    """The border of a mask along its pixels' edges: no interpolation that would move it."""
    from matplotlib.collections import LineCollection

    if mask.any():
        axes.add_collection(LineCollection(edges(mask), colors=colour, linewidths=width))


def edges(mask: NDArray[np.bool_]) -> list[list[tuple[float, float]]]:
    """Line pieces (column, row) between marked and unmarked pixels; pixel centres lie at whole numbers."""
    padded = np.pad(mask, 1)
    beside = np.argwhere(padded[:, 1:] != padded[:, :-1]).tolist()
    below = np.argwhere(padded[1:, :] != padded[:-1, :]).tolist()
    upright = [[(column - 0.5, row - 1.5), (column - 0.5, row - 0.5)] for row, column in beside]
    level = [[(column - 1.5, row - 0.5), (column - 0.5, row - 0.5)] for row, column in below]
    return [*upright, *level]


def _shade(axes: Axes, uncertainty: NDArray[np.float32], aspect: float) -> None:
    from matplotlib.colors import to_rgb

    layer = np.empty((*uncertainty.shape, 4))
    layer[..., :3] = to_rgb(ORANGE)
    layer[..., 3] = np.clip(uncertainty, 0, 1)
    axes.imshow(layer, aspect=aspect, interpolation="nearest")


def _head_box(image: NDArray[Any]) -> tuple[slice, slice]:
    """Rows and columns that hold the head, with a small margin: black air is not worth the paper."""
    bright = image > 0.1 * float(np.quantile(image, 0.99))
    rows, columns = (np.flatnonzero(bright.mean(axis=axis) > 0.03) for axis in (1, 0))
    if not rows.size or not columns.size:
        return slice(None), slice(None)
    return _span(rows), _span(columns)


def _span(places: NDArray[np.intp]) -> slice:
    return slice(max(0, int(places[0]) - _MARGIN_PIXELS), int(places[-1]) + 1 + _MARGIN_PIXELS)


def _proportion(case: ShownCase, box: tuple[slice, slice]) -> float:
    """Height by width of the box, in mm."""
    height, width = case.image[box].shape
    return float(height * case.pixel_mm[0] / (width * case.pixel_mm[1]))


def _window(image: NDArray[Any]) -> tuple[float, float]:
    low, high = np.quantile(image, (0.01, 0.997))
    return float(low), float(high if high > low else low + 1)
