"""Automatic against manual WMH volume (paper, Fig 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from training.evaluate.document import AgreementFigure, FittedLine, Outlier
from training.report.figures.style import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    NotDrawn,
    Picture,
    dots,
    dress,
    label_point,
    legend,
    new_figure,
    note,
    short,
    svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE: Final = (5.1, 5.0)
_NAMED: Final = 8
_NAME_ROOM: Final = 18


def draw_agreement(agreement: AgreementFigure) -> Picture:
    """Scatter about the line of identity, with the fitted line; outliers are named, the farthest first."""
    if not agreement.cases:
        return NotDrawn(agreement.note or "no case")
    figure, axes = new_figure(_SIZE)
    top = 1.08 * max(1e-3, *agreement.manual_ml, *agreement.predicted_ml)
    axes.plot([0, top], [0, top], color=VERMILION, linewidth=1.2, label="identity")
    if agreement.line is not None:
        _draw_line(axes, agreement.line, top)
    _draw_cases(axes, agreement)
    for outlier in sorted(agreement.outliers, key=lambda each: -abs(each.residual_ml))[:_NAMED]:
        _name(axes, outlier, top)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_aspect("equal")
    dress(axes, "manual WMH volume (mL)", "automatic WMH volume (mL)")
    legend(axes, loc="upper left")
    words = f"n = {len(agreement.cases)}"
    if agreement.line is not None:
        words += f"\ny = {agreement.line.intercept:.2f} + {agreement.line.slope:.3f} x"
    note(axes, f"{words}\npaper: y = {agreement.paper_line.intercept:.2f} + {agreement.paper_line.slope:.3f} x")
    return svg(figure, f"Automatic against manual WMH volume; {words}; {len(agreement.outliers)} outliers")


def _draw_line(axes: Axes, line: FittedLine, top: float) -> None:
    ends = [line.intercept, line.slope * top + line.intercept]
    axes.plot([0, top], ends, color=INK, linewidth=1, linestyle="--", label="fitted line")


def _draw_cases(axes: Axes, agreement: AgreementFigure) -> None:
    odd = {outlier.case for outlier in agreement.outliers}
    rows = zip(agreement.cases, agreement.manual_ml, agreement.predicted_ml, strict=True)
    inner = [(manual, predicted) for case, manual, predicted in rows if case not in odd]
    if inner:
        dots(axes, [x for x, _ in inner], [y for _, y in inner], color=GREY, label="case")
    if agreement.outliers:
        x, y = [each.manual_ml for each in agreement.outliers], [each.predicted_ml for each in agreement.outliers]
        dots(axes, x, y, color=BLUE, marker="D", s=24, alpha=1, label="outlier")


def _name(axes: Axes, outlier: Outlier, top: float) -> None:
    # Towards the middle of the picture, so that no name runs out of it.
    left = outlier.manual_ml > 0.6 * top
    place = (outlier.manual_ml, outlier.predicted_ml)
    label_point(axes, short(outlier.case, _NAME_ROOM), place, (-5 if left else 5, 4), ha="right" if left else "left")
