"""Risk-coverage: the mean error of the cases that are kept when the least certain are sent to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from training.evaluate.document import RiskCoverageCurve
from training.report.figures.style import (
    MARKERS,
    SERIES,
    SINGLE,
    NotDrawn,
    Picture,
    dress,
    legend,
    new_figure,
    note,
    svg,
)

_STYLES: Final = ("-", "--", "-.", ":")
_MARKED_UP_TO: Final = 30


def draw_risk_coverage(curves: Sequence[RiskCoverageCurve]) -> Picture:
    """One line a ranking; lower is better, and all meet where every case is kept."""
    drawn = [curve for curve in curves if curve.coverage]
    if not drawn:
        return NotDrawn(next((curve.note for curve in curves if curve.note), "no case has a confidence score"))
    figure, axes = new_figure((SINGLE[0], SINGLE[1] + 0.45))
    count = max(len(curve.coverage) for curve in drawn)
    for place, curve in enumerate(drawn):
        axes.plot(
            curve.coverage,
            curve.selective_risk,
            color=SERIES[place % len(SERIES)],
            linestyle=_STYLES[place % len(_STYLES)],
            marker=MARKERS[place % len(MARKERS)] if count <= _MARKED_UP_TO else "",
            markersize=3.5,
            linewidth=1.4,
            label=curve.title,
        )
    axes.set_xlim(0, 1.02)
    highest = max(max(curve.selective_risk) for curve in drawn)
    axes.set_ylim(0, min(1.03, 1.15 * highest + 0.02))
    dress(axes, "share of cases kept (coverage)", "mean 1 - DSC of those (risk)")
    legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0)
    note(axes, f"n = {count}")
    return svg(figure, f"Risk-coverage curves of {count} cases for {', '.join(curve.title for curve in drawn)}")
