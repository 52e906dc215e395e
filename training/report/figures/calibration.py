"""Reliability: how often a predicted probability is right."""

from __future__ import annotations

from training.evaluate.document import ReliabilityCurve
from training.report.figures.style import (
    BLUE,
    GREY,
    PALE,
    NotDrawn,
    Picture,
    dress,
    legend,
    new_figure,
    note,
    svg,
    unit_axis,
)


def draw_reliability(curve: ReliabilityCurve) -> Picture:
    """Observed share of WMH by predicted probability, with the number of voxels below on a logarithmic axis."""
    filled = [each for each in curve.bins if each.voxels and each.mean_probability is not None]
    if not filled:
        return NotDrawn(curve.note or "no voxel near a lesion")
    figure, (upper, lower) = new_figure((5.1, 5.0), rows=2, sharex=True, height_ratios=(3, 1))
    x = [each.mean_probability for each in filled]
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    upper.plot(
        x, [each.observed for each in filled], color=BLUE, marker="o", markersize=4, linewidth=1.4, label="model"
    )
    unit_axis(upper.set_xlim)
    unit_axis(upper.set_ylim)
    dress(upper, "", "observed share of WMH")
    legend(upper, loc="upper left")
    voxels = sum(each.voxels for each in filled)
    words = f"n = {voxels:,} voxels"
    if curve.ece is not None:
        words += f"\nECE = {curve.ece:.3f}"
    if curve.brier is not None:
        words += f"\nBrier = {curve.brier:.3f}"
    note(upper, words)
    width = 0.9 / len(curve.bins)
    centres = [(each.low + each.high) / 2 for each in filled]
    lower.bar(centres, [each.voxels for each in filled], width=width, color=PALE, edgecolor=GREY, linewidth=0.6)
    lower.set_yscale("log")
    lower.minorticks_off()  # within one decade matplotlib would write a label at every minor tick
    dress(lower, "predicted probability", "voxels")
    return svg(figure, f"Reliability curve of {curve.region}; {words}")
