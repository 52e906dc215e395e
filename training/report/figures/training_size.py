"""DSC by the number of patients that a model was trained on (paper, Results and Online Supplemental Data)."""

from __future__ import annotations

from training.evaluate.document import TrainingSizeCurve
from training.report.figures.style import BLUE, GREY, SINGLE, NotDrawn, Picture, dress, legend, new_figure, svg


def draw_training_size(curve: TrainingSizeCurve) -> Picture:
    """Ours with SD, and the paper's beside it; the number of patients on a logarithmic axis."""
    points = curve.points
    if not points:
        return NotDrawn(curve.note or "no training of several sizes was evaluated")
    figure, axes = new_figure((SINGLE[0], SINGLE[1] + 0.3))
    x = [point.patients for point in points]
    low, high = min(point.n for point in points), max(point.n for point in points)
    axes.errorbar(
        x,
        [point.mean_dsc for point in points],
        yerr=[point.sd or 0.0 for point in points],
        color=BLUE,
        marker="o",
        markersize=4.5,
        capsize=2,
        label=f"this evaluation, mean and SD (n = {low if low == high else f'{low}-{high}'})",
    )
    paper = [point.patients for point in curve.paper]
    if paper:
        label = f"paper, external sets (n = {max(point.n for point in curve.paper)})"
        mean = [point.mean_dsc for point in curve.paper]
        axes.plot(paper, mean, color=GREY, marker="s", markersize=4.5, linestyle="--", label=label)
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = _apart(sorted({*x, *paper}))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(0, 1)
    dress(axes, "patients trained on", "DSC")
    legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return svg(figure, "DSC by number of training patients")


def _apart(numbers: list[int]) -> list[int]:
    """Numbers far enough from each other on a logarithmic axis that their labels do not touch."""
    kept = numbers[:1]
    for number in numbers[1:]:
        if number > 1.35 * kept[-1]:
            kept.append(number)
    return kept
