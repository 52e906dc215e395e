"""Mean difference of every pair of contenders, with its 95 % CI."""

from __future__ import annotations

from training.evaluate.comparison.document import Comparison
from training.report.figures.style import BLUE, GREY, SINGLE, NotDrawn, Picture, dress, new_figure, svg


def draw_differences(comparison: Comparison, measure: str = "dsc") -> Picture:
    """One row a pair; an interval that crosses zero leaves it open which is better."""
    wanted = comparison.measure(measure)
    pairs = [pair for pair in wanted.pairs if pair.difference is not None]
    if not pairs:
        return NotDrawn("no patient has a value from two contenders")
    figure, axes = new_figure((SINGLE[0], max(2.0, 0.9 + 0.32 * len(pairs))))
    rows = range(len(pairs), 0, -1)
    middle = [pair.difference or 0.0 for pair in pairs]
    below = [0.0 if pair.ci_low is None else (pair.difference or 0.0) - pair.ci_low for pair in pairs]
    above = [0.0 if pair.ci_high is None else pair.ci_high - (pair.difference or 0.0) for pair in pairs]
    axes.errorbar(middle, rows, xerr=[below, above], color=BLUE, marker="o", markersize=5, capsize=3, linestyle="none")
    axes.axvline(0, color=GREY, linewidth=1, linestyle="--")
    axes.set_yticks(list(rows), [f"{pair.first} - {pair.second}  (n = {pair.n})" for pair in pairs])
    axes.set_ylim(0.4, len(pairs) + 0.6)
    unit = f" ({wanted.unit})" if wanted.unit else ""
    dress(axes, f"mean difference of {wanted.title}{unit}, 95 % CI", "")
    axes.grid(visible=False, axis="y")
    words = "; ".join(f"{pair.first} - {pair.second}: {pair.difference:.3f}" for pair in pairs)
    return svg(figure, f"Mean differences of {wanted.title}. {words}")
