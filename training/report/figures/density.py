"""Uncertainty index against DSC (paper, Fig 3A): a density where the cases are many, dots where they are few."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.evaluate.document import DensityFigure
from training.report.figures.style import (
    BLUE,
    SINGLE,
    NotDrawn,
    Picture,
    dots,
    dress,
    new_figure,
    note,
    p_words,
    svg,
    unit_axis,
)

COLOURED_FROM: Final = 30
"""Cases from which on the dots are coloured by the density at their place."""


def draw_density(density: DensityFigure) -> Picture:
    """Scatter, the densest places darkest, with r and n."""
    count = len(density.cases)
    if not count:
        return NotDrawn(density.note or "no case has an uncertainty index")
    figure, axes = new_figure(SINGLE)
    if density.density is None or count < COLOURED_FROM:
        dots(axes, density.uncertainty_index, density.dsc, color=BLUE)
    else:
        order = np.argsort(density.density)  # the densest are drawn last, on top
        x, y = np.asarray(density.uncertainty_index)[order], np.asarray(density.dsc)[order]
        dots(axes, x, y, c=np.asarray(density.density)[order], cmap="viridis_r", alpha=0.85)
    unit_axis(axes.set_xlim)
    unit_axis(axes.set_ylim)
    dress(axes, "uncertainty index", "DSC")
    words = f"n = {count}\n" + ("r undefined" if density.r is None else f"r = {density.r:.3f}, {p_words(density.p)}")
    note(axes, f"{words}\npaper: r = {density.paper_r:.3f}", x=0.98, y=0.97, va="top")
    return svg(figure, f"DSC against uncertainty index; {words}")
