"""A measure of every case by contender: each case is a line, so that a reader sees who gains and who loses."""

from __future__ import annotations

from typing import Final

from training.evaluate.comparison.document import Comparison
from training.report.figures.style import (
    GREY,
    INK,
    MARKERS,
    SERIES,
    SINGLE,
    NotDrawn,
    Picture,
    dots,
    dress,
    new_figure,
    svg,
    unit_axis,
)

_JOINED_UP_TO: Final = 100


def draw_paired(comparison: Comparison, measure: str = "dsc") -> Picture:
    """Cases as dots joined by lines, and beside them each contender's mean by patient with its 95 % CI."""
    wanted = comparison.measure(measure)
    rows = [case.values[measure] for case in comparison.cases]
    if not any(value is not None for row in rows for value in row):
        return NotDrawn(f"no case has a value of {wanted.title}")
    figure, axes = new_figure(SINGLE)
    if len(rows) <= _JOINED_UP_TO:
        for row in rows:
            seen = [(place, value) for place, value in enumerate(row) if value is not None]
            axes.plot([place for place, _ in seen], [value for _, value in seen], color=GREY, alpha=0.45, linewidth=0.8)
    for place, summary in enumerate(wanted.summaries):
        values = [row[place] for row in rows if row[place] is not None]
        colour = SERIES[place % len(SERIES)]
        dots(axes, [place] * len(values), values, color=colour, marker=MARKERS[place % len(MARKERS)])
        mean, low, high = summary.patient_mean, summary.patient_ci_low, summary.patient_ci_high
        if mean is not None:
            bar = None if low is None or high is None else [[mean - low], [high - mean]]
            look = {"marker": "_", "markersize": 12, "capsize": 3, "linewidth": 1.4}
            axes.errorbar(place + 0.18, mean, yerr=bar, color=INK, **look)
    ticks = [
        f"{contender.key}\nn = {of.n}" for contender, of in zip(comparison.contenders, wanted.summaries, strict=True)
    ]
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlim(-0.4, len(ticks) - 0.5)
    if not wanted.unit:
        unit_axis(axes.set_ylim)
    dress(axes, "contender", wanted.title + (f" ({wanted.unit})" if wanted.unit else ""))
    axes.grid(visible=False, axis="x")
    words = "; ".join(
        f"{each.key}: mean by patient {each.patient_mean:.3f}"
        for each in wanted.summaries
        if each.patient_mean is not None
    )
    return svg(figure, f"{wanted.title} of {len(rows)} cases by contender. {words}")
