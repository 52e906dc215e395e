"""Lines of a measure over ordered bins, one a stratum (paper, Fig 1C and 1D: mean, SD; Fig 1E: mean, 95 % CI)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from training.evaluate.document import LineFigure, LineSeries
from training.report.figures.style import (
    MARKERS,
    SERIES,
    SINGLE,
    NotDrawn,
    Picture,
    dress,
    legend,
    new_figure,
    svg,
    unit_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DODGE: Final = 0.09
_LETTERS_IN_A_ROW: Final = 30


def draw_lines(lines: LineFigure) -> Picture:
    """Dots joined by lines, side by side within a bin, each with its error bar; an empty bin leaves a gap."""
    if not any(point.mean is not None for series in lines.series for point in series.points):
        return NotDrawn(lines.note or "no case falls into any group")
    bins = [point.label for point in lines.series[0].points]
    figure, axes = new_figure((SINGLE[0], SINGLE[1] + 0.4))
    for place, series in enumerate(lines.series):
        _draw_series(axes, series, place, (place - (len(lines.series) - 1) / 2) * _DODGE)
    axes.set_xticks(range(len(bins)), bins)
    axes.set_xlim(-0.5, len(bins) - 0.5)
    unit_axis(axes.set_ylim)
    dress(axes, lines.x_label, f"{lines.y_label}, mean and {lines.bars}")
    axes.grid(visible=False, axis="x")
    in_one_row = sum(len(series.label) for series in lines.series) <= _LETTERS_IN_A_ROW and len(lines.series) <= 3
    columns = 3 if in_one_row else 2
    legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, columnspacing=1.2)
    return svg(figure, f"{lines.title}: {lines.y_label} by {lines.x_label}, one line for each of {_names(lines)}")


def _names(lines: LineFigure) -> str:
    return ", ".join(series.label for series in lines.series)


def _draw_series(axes: Axes, series: LineSeries, place: int, shift: float) -> None:
    seen = [(number, point.mean, point) for number, point in enumerate(series.points) if point.mean is not None]
    below = [_length(mean, point.low, -1) for _, mean, point in seen]
    above = [_length(mean, point.high, 1) for _, mean, point in seen]
    axes.errorbar(
        [number + shift for number, _, _ in seen],
        [mean for _, mean, _ in seen],
        yerr=[below, above],
        color=SERIES[place % len(SERIES)],
        marker=MARKERS[place % len(MARKERS)],
        markersize=4.5,
        linewidth=1.2,
        elinewidth=1,
        capsize=2,
        label=f"{series.label} (n = {sum(point.n for point in series.points)})",
    )


def _length(mean: float, end: float | None, sign: int) -> float:
    """Length of an error bar towards `end`; 0 where there is none."""
    return 0.0 if end is None else max(0.0, sign * (end - mean))
