"""DSC of every case, lowest first, so that the weak ones are seen by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.evaluation.document import CaseRecord
from training.report.figures.style import (
    BLUE,
    INK,
    SMALL,
    VERMILION,
    WIDE,
    NotDrawn,
    Picture,
    dress,
    legend,
    new_figure,
    short,
    svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED_UP_TO: Final = 60
"""Cases up to which each bar carries its name; beyond, bars without names are drawn side by side."""
_NUMBERED_UP_TO: Final = 30
_UPRIGHT_FROM: Final = 9
_NAME_ROOM: Final = 16


def draw_case_bars(records: Sequence[CaseRecord]) -> Picture:
    """One bar a case, with the mean over the cases as a line."""
    if not records:
        return NotDrawn("no case")
    ranked = sorted(((record.case, record.dsc) for record in records), key=lambda case: (case[1], case[0]))
    values = [dsc for _, dsc in ranked]
    mean, count = float(np.mean(values)), len(values)
    figure, axes = new_figure(WIDE)
    named = count <= NAMED_UP_TO
    axes.bar(range(count), values, width=0.72 if named else 1.0, color=BLUE)
    axes.axhline(mean, color=VERMILION, linestyle="--", linewidth=1.3, label=f"mean {mean:.3f} (n = {count})")
    axes.set_ylim(0, 1)
    room = 0.6 if count > 5 else (6 - count) / 2 + 0.6  # few bars are not blown up to the page's width
    axes.set_xlim(-room, count - 1 + room)
    axes.set_xticks([])
    if named:
        _name_bars(axes, ranked)
    dress(axes, "case, lowest DSC first" if named else f"{count} cases, lowest DSC first", "DSC")
    axes.grid(visible=False, axis="x")
    legend(axes, loc="upper left")
    return svg(figure, f"DSC of each of {count} cases, mean {mean:.3f}")


def _name_bars(axes: Axes, ranked: Sequence[tuple[str, float]]) -> None:
    upright = len(ranked) >= _UPRIGHT_FROM
    look: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if upright else {}
    axes.set_xticks(range(len(ranked)), [short(name, _NAME_ROOM) for name, _ in ranked], parse_math=False, **look)
    if len(ranked) > _NUMBERED_UP_TO:
        return
    for place, (_, dsc) in enumerate(ranked):
        axes.text(place, min(dsc + 0.012, 0.94), f"{dsc:.2f}", ha="center", va="bottom", fontsize=SMALL - 1, color=INK)
