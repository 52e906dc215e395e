"""What triage by the uncertainty index buys (paper, Fig 3B)."""

from __future__ import annotations

from training.evaluate.document import TriageFigure
from training.report.figures.style import (
    BLUE,
    GREEN,
    SINGLE,
    VERMILION,
    NotDrawn,
    Picture,
    dress,
    legend,
    new_figure,
    note,
    svg,
)


def draw_triage(triage: TriageFigure) -> Picture:
    """Share of the cases up to each uncertainty index, and the mean DSC of those cases."""
    count = len(triage.uncertainty_index)
    if not count:
        return NotDrawn(triage.note or "no case has an uncertainty index")
    limits = triage.uncertainty_index
    share = [percent / 100 for percent in triage.cumulative_percent]
    figure, axes = new_figure((SINGLE[0], SINGLE[1] + 0.45))
    axes.step([0, *limits, 1], [0, *share, share[-1]], where="post", color=BLUE, label="share of cases")
    mean = triage.cumulative_dsc
    axes.step([*limits, 1], [*mean, mean[-1]], where="post", color=GREEN, linestyle="--", label="their mean DSC")
    whose = "measured" if triage.inter_rater_measured else "paper"
    axes.axhline(
        triage.inter_rater_dsc,
        color=GREEN,
        linestyle=":",
        linewidth=1.3,
        label=f"human raters, {whose}: {triage.inter_rater_dsc:.3f}",
    )
    axes.axvline(triage.limit, color=VERMILION, linestyle="-.", linewidth=1.2, label=f"review above {triage.limit:.3g}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    dress(axes, "uncertainty index up to", "share of cases · mean DSC")
    legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0)
    note(axes, f"n = {count}")
    return svg(figure, f"Cumulative share of {count} cases and their mean DSC by uncertainty index")
