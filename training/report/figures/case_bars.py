"""DSC of every case, lowest first, so that the weak ones are seen by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.evaluate.document import CaseRecord
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
_LETTERS_IN_A_ROW: Final = 120
_ROOM_FOR_A_NUMBER: Final = 0.1
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
    # An edge of the bars' own colour: without it, light seams stand between bars that touch.
    axes.bar(range(count), values, width=0.72 if named else 1.0, color=BLUE, edgecolor=BLUE, linewidth=0.4)
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
    names = [short(name, _NAME_ROOM) for name, _ in ranked]
    level = len(names) * max(len(name) for name in names) <= _LETTERS_IN_A_ROW
    look: dict[str, Any] = {} if level else {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, parse_math=False, **look)
    if len(ranked) > _NUMBERED_UP_TO:
        return
    for place, (_, dsc) in enumerate(ranked):
        # Inside its bar, where the mean's line does not cross it; above a bar that is too low for that.
        inside = dsc > _ROOM_FOR_A_NUMBER
        colour, side, shift = ("white", "top", -0.015) if inside else (INK, "bottom", 0.012)
        axes.text(place, dsc + shift, f"{dsc:.2f}", ha="center", va=side, fontsize=SMALL, color=colour)
