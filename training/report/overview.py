"""Every group in one table: the measures that the paper gives for each of its data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from training.evaluate.document import Evaluation, Statistic
from training.report.words import UNDEFINED, interval, number

MEASURES: Final = {
    "dsc_mean": "Mean DSC",
    "hd_mm_mean": "Mean HD",
    "volume_r": "r of volumes",
    "volume_ccc": "CCC of volumes",
    "volume_cb": "C_b",
    "uncertainty_index_mean": "Mean UI",
    "triage_percent_below": "UI under the limit",
}
"""Name of the statistic -> head of the column."""


@dataclass(frozen=True)
class Cell:
    """A value and its interval; the interval is empty where there is none."""

    value: str
    interval: str


@dataclass(frozen=True)
class Row:
    """A group, its number of cases, and a cell a measure."""

    group: str
    n: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Overview:
    """Heads of the columns, and a row a group."""

    titles: tuple[str, ...]
    rows: tuple[Row, ...]


def overview(evaluation: Evaluation) -> Overview:
    """Groups in the document's order."""
    groups = dict.fromkeys(row.group for row in evaluation.statistics)
    return Overview(tuple(MEASURES.values()), tuple(_row(evaluation, group) for group in groups))


def _row(evaluation: Evaluation, group: str) -> Row:
    found = [evaluation.statistic(name, group) for name in MEASURES]
    return Row(
        group, max((each.n for each in found if each is not None), default=0), tuple(_cell(each) for each in found)
    )


def _cell(statistic: Statistic | None) -> Cell:
    if statistic is None or statistic.value is None:
        return Cell(UNDEFINED, "")
    low, high = statistic.ci_low, statistic.ci_high
    spread = "" if low is None or high is None else interval(low, high, statistic.unit)
    return Cell(number(statistic.value, statistic.unit), spread)
