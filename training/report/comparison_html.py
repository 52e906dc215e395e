"""`comparison.html`: several models on the same cases, in one self-contained file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.evaluate.architecture import SE_UNET, UNET
from training.evaluate.comparison.document import Comparison, Contender, MeasureComparison, PairedComparison
from training.evaluate.groups import EXTERNAL, TEST
from training.evaluate.paper import PAPER
from training.report.definitions import DEFINITIONS
from training.report.figure_views import FigureView
from training.report.figures.differences import draw_differences
from training.report.figures.paired import draw_paired
from training.report.page import render
from training.report.words import number, p_value, suffix
from training.report_files import write_report_file

COMPARISON_NAME: Final = "comparison.html"
LISTED_CASES: Final = 500
_USED: Final = ("DSC", "HD", "HD95", "surface Dice", "lesion recall, precision, F1", "95 % CI, P")
_ALPHA: Final = 0.05
_GROUPS: Final = {TEST: "internal", EXTERNAL: "external"}
_OF_PAPER: Final = (
    ("dsc_mean", "DSC", ""),
    ("hd_mm_mean", "Hausdorff distance, unit not stated,", ""),
    ("milliseconds_mean", "time per case", "ms"),
)


def write_comparison_html(comparison: Comparison, folder: Path) -> Path:
    """Write `comparison.html` into a folder (made if missing) and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / COMPARISON_NAME
    write_report_file(path, comparison_html(comparison))
    return path


def comparison_html(comparison: Comparison) -> str:
    """The page as text; every number of it comes from the document."""
    first = comparison.measures[0]
    better = "" if first.better == "higher" else ", which is worse"
    differences = f"Right of zero: the first of the pair has the larger {first.title}{better}."
    return render(
        "comparison.html.j2",
        title="Comparison of " + ", ".join(contender.label for contender in comparison.contenders),
        document=comparison,
        sentences=[sentence(pair, first) for pair in first.pairs],
        figures=(
            FigureView.of(
                "paired", f"{first.title} of every case", draw_paired(comparison, first.name),
                "A line joins the values of one case; black: mean by patient and its 95 % CI.",
            ),
            FigureView.of(
                "differences", "Differences, averaged over patients", draw_differences(comparison, first.name),
                f"{differences} An interval across zero does not show which is better.",
            ),
        ),
        cases=comparison.cases[:LISTED_CASES],
        cases_left_out=max(0, len(comparison.cases) - LISTED_CASES),
        definitions=[each for each in DEFINITIONS if each.name in _USED],
        network_of=_network_of,
        paper=paper_in_words(),
    )  # fmt: skip


def paper_in_words() -> str:
    """What the paper found for its two networks: `DSC 0.659 v 0.675 (internal), 0.710 v 0.722 (external); ...`."""
    return "; ".join(
        f"{title} {', '.join(_both_networks(name, group, unit) for group in _GROUPS if (name, group) in PAPER[UNET])}"
        for name, title, unit in _OF_PAPER
    )


def _both_networks(name: str, group: str, unit: str) -> str:
    unet, se_unet = (PAPER[network][name, group].number for network in (UNET, SE_UNET))
    return f"{unet} v {se_unet}{suffix(unit)} ({_GROUPS[group]})"


def sentence(pair: PairedComparison, measure: MeasureComparison) -> str:
    """A pair in words: who is better, by how much, and whether the tests agree that it is no chance."""
    if pair.difference is None:
        return f"{pair.first} v {pair.second}: {pair.note}."
    ahead, behind = (pair.first, pair.second) if _first_is_better(pair, measure) else (pair.second, pair.first)
    gap = number(abs(pair.difference), measure.unit)
    start = f"{ahead} is better than {behind} by {gap} {measure.title}" if pair.difference else _no_difference(pair)
    tests = f"paired t P {p_value(pair.p_t)}, Wilcoxon P {p_value(pair.p_wilcoxon)}, n = {pair.n} patients"
    return f"{start} ({tests}): {_verdict(pair)}."


def _no_difference(pair: PairedComparison) -> str:
    return f"No difference between {pair.first} and {pair.second}"


def _first_is_better(pair: PairedComparison, measure: MeasureComparison) -> bool:
    return ((pair.difference or 0.0) > 0) == (measure.better == "higher")


def _verdict(pair: PairedComparison) -> str:
    if pair.p_t is None or pair.p_wilcoxon is None:
        return pair.note or "not tested"
    below = [p < _ALPHA for p in (pair.p_t, pair.p_wilcoxon)]
    if all(below):
        return "both tests are significant"
    if any(below):
        return f"only the {'paired t' if below[0] else 'Wilcoxon'} test is significant"
    return "may be chance"


def _network_of(contender: Contender) -> str:
    model = contender.model
    return f"{model.architecture}; {model.runtime}, {model.precision}"
