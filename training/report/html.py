"""`report.html`: one self-contained file that a reader can open, print and send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from segmentation.measures import REVIEW_ABOVE
from training.evaluate.architecture import SE_UNET, Network, network_of
from training.evaluate.document import Evaluation, Statistic
from training.evaluate.gallery import ShownCase
from training.evaluate.region_words import dividers_in_words, rule_in_words
from training.report.definitions import DEFINITIONS
from training.report.figure_views import case_bars, figure_views
from training.report.overview import overview
from training.report.page import render
from training.report.words import UNDEFINED, group_words, interval, number, plural
from training.report_files import write_report_file

REPORT_NAME: Final = "report.html"
LISTED_CASES: Final = 500
"""Rows of the table of cases; a longer one is no longer read, and cases.csv has them all."""


@dataclass(frozen=True)
class Card:
    """One number of the headline: what it is, the number, and lines below it."""

    what: str
    value: str
    more: tuple[str, ...]


def write_report(evaluation: Evaluation, folder: Path, cases_shown: Sequence[ShownCase]) -> Path:
    """Write `report.html` into a folder (made if missing) and return its path.

    Args:
        evaluation: the document; every number of the page comes from it.
        folder: where to.
        cases_shown: slices for the figure of representative cases.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REPORT_NAME
    write_report_file(path, report_html(evaluation, cases_shown))
    return path


def report_html(evaluation: Evaluation, cases_shown: Sequence[ShownCase]) -> str:
    """The page as text."""
    ranked = sorted(evaluation.cases, key=lambda record: (record.dsc, record.case))
    return render(
        "evaluation.html.j2",
        title=f"Evaluation of {evaluation.model.name} {evaluation.model.version}",
        document=evaluation,
        cards=headline(evaluation),
        bars=case_bars(evaluation),
        figures=figure_views(evaluation, cases_shown),
        statistics=by_group(evaluation),
        overview=overview(evaluation),
        cases=ranked[:LISTED_CASES],
        cases_left_out=max(0, len(ranked) - LISTED_CASES),
        show_site=any(record.site for record in ranked),
        show_split=any(record.split for record in ranked),
        definitions=DEFINITIONS,
        paper_network=paper_network(evaluation),
        distance_rule=rule_in_words(evaluation.settings.distance_rule),
        dividers=dividers_in_words(evaluation.cases),
    )


def paper_network(evaluation: Evaluation) -> Network:
    """Which of the paper's networks stands beside ours: the same, and its SE-UNet beside any other method."""
    return network_of(evaluation.model.architecture) or SE_UNET


def by_group(evaluation: Evaluation) -> list[tuple[str, list[Statistic]]]:
    """Statistics group by group: the figures' group first, the rest in the document's order."""
    order = {name: place for place, name in enumerate(dict.fromkeys(row.group for row in evaluation.statistics))}
    ranked = sorted(
        evaluation.statistics, key=lambda row: (row.group != evaluation.figure_group, order[row.group])
    )  # stable: rows keep their order
    return [(group, list(rows)) for group, rows in groupby(ranked, key=lambda row: row.group)]


def headline(evaluation: Evaluation) -> tuple[Card, ...]:
    """What a reader wants to know first: how many, how good, do the volumes agree, what triage leaves to a person."""
    return (
        _cohort_card(evaluation),
        _card(evaluation, "dsc_mean", "Mean DSC"),
        _card(evaluation, "volume_ccc", "Agreement of volumes (Lin's CCC)"),
        _triage_card(evaluation),
    )


def _cohort_card(evaluation: Evaluation) -> Card:
    cohort = evaluation.cohort
    of_group = evaluation.statistic("dsc_mean")
    more = [f"of {plural(cohort.patients, 'patient')}"]
    if of_group is not None and of_group.n != cohort.cases:
        more.append(f"{of_group.n} of them are {group_words(evaluation.figure_group)}")
    if cohort.sites:
        more.append(f"from {plural(len(cohort.sites), 'site')}")
    return Card("Evaluated", plural(cohort.cases, "case"), tuple(more))


def _card(evaluation: Evaluation, name: str, what: str) -> Card:
    row = evaluation.statistic(name)
    if row is None:
        return Card(what, UNDEFINED, ("not computed for this group",))
    if row.value is None:
        return Card(what, UNDEFINED, (row.note,))
    spread = "" if row.ci_low is None else f"95 % CI {interval(row.ci_low, row.ci_high, row.unit)}"
    paper = "" if row.paper is None else f"paper: {row.paper.text}"
    more = tuple(line for line in (spread, f"n = {row.n}", paper) if line)
    return Card(what, number(row.value, row.unit), more)


def _triage_card(evaluation: Evaluation) -> Card:
    triage = evaluation.triage
    what = f"Need no review (uncertainty index under {triage.limit:.3g})"
    if triage.percent_below is None:
        return Card(what, UNDEFINED, (triage.note or "no case has an uncertainty index",))
    paper = f"paper, under {REVIEW_ABOVE:g}: {triage.paper_percent_below:g} %, mean DSC {triage.paper_dsc_below:g}"
    more = (f"their mean DSC {number(triage.dsc_below)}", triage.note, paper)
    return Card(what, number(triage.percent_below, "%"), tuple(line for line in more if line))
