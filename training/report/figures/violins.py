"""Violin plots of a measure by group (paper, Fig 1A and 1B)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from training.evaluate.document import ViolinFigure
from training.report.figures.style import (
    GREY,
    INK,
    SERIES,
    SINGLE,
    SMALL,
    NotDrawn,
    Picture,
    dots,
    dress,
    new_figure,
    svg,
    unit_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIOLIN_FROM: Final = 8
"""Cases in a group from which on a density is drawn: with fewer, its shape would be the kernel's and not the data's."""
_DOTS_UP_TO: Final = 300
_SCATTER_SEED: Final = 1


def draw_violins(violins: ViolinFigure) -> Picture:
    """Median (line) and quartiles (dotted) of each group, its density, and every case as a dot where they are few.

    An empty group keeps its place, so that its absence is seen; the paper's mean stands beside ours as a grey diamond.
    """
    groups = violins.groups
    if not any(group.values for group in groups):
        return NotDrawn(violins.note or "no case has a value")
    figure, axes = new_figure(SINGLE)
    rng = np.random.default_rng(_SCATTER_SEED)
    for place, group in enumerate(groups):
        _draw_group(axes, place, np.asarray(group.values, float), SERIES[place % len(SERIES)], rng)
        if group.paper is not None:
            axes.plot(place + 0.4, group.paper.value, marker="D", markersize=5, color=GREY, markeredgecolor="white")
    axes.set_xticks(range(len(groups)), [f"{group.label}\nn = {len(group.values)}" for group in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    unit_axis(axes.set_ylim)
    dress(axes, violins.x_label, violins.y_label)
    axes.grid(visible=False, axis="x")
    words = "; ".join(f"{g.label}: n = {len(g.values)}, median {np.median(g.values):.3f}" for g in groups if g.values)
    return svg(figure, f"{violins.title}. {words}")


def _draw_group(axes: Axes, place: int, values: NDArray[np.float64], colour: str, rng: np.random.Generator) -> None:
    if not values.size:
        axes.text(place, 0.5, "no case", ha="center", va="center", fontsize=SMALL, color=INK)
        return
    if values.size >= VIOLIN_FROM and np.ptp(values) > 0:
        parts: dict[str, Any] = axes.violinplot([values], [place], widths=0.8, showextrema=False)
        for body in parts["bodies"]:
            body.set(facecolor=colour, alpha=0.3, edgecolor=colour, linewidth=1)
    if values.size <= _DOTS_UP_TO:
        size = 22 if values.size <= 30 else 7
        dots(axes, place + rng.uniform(-0.1, 0.1, values.size), values, color=colour, s=size)
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    axes.hlines(middle, place - 0.28, place + 0.28, color=INK, linewidth=1.6)
    if values.size > 1:
        axes.hlines((low, high), place - 0.22, place + 0.22, color=INK, linewidth=1, linestyle=":")
