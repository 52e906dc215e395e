"""The comparison's page: its sentences and tables say what the document holds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from support.evaluations import made_up_evaluation

from training.evaluate.comparison.assemble import Entry, assemble
from training.evaluate.comparison.document import Comparison, PairedComparison
from training.report.comparison_html import comparison_html, paper_in_words, sentence

AT = datetime(2026, 1, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Two contenders, the second worse by 0.1; its name is full of mark-up, and so is a case."""
    first = made_up_evaluation(12)
    rows = [row.model_copy(update={"dsc": row.dsc - 0.1}) for row in first.cases]
    named = [(rows[0].model_copy(update={"case": HOSTILE}), first.cases[0].model_copy(update={"case": HOSTILE}))]
    second = first.model_copy(update={"cases": (named[0][0], *rows[1:])})
    first = first.model_copy(update={"cases": (named[0][1], *first.cases[1:])})
    return assemble(
        [Entry("good", False, first), Entry(HOSTILE, True, second)], datetime(2026, 1, 2, tzinfo=UTC), ["Mind."]
    )


def test_the_page_shows_the_documents_numbers(comparison: Comparison) -> None:
    """Means, differences, P and every case; figures for the eye; what it is and is not for."""
    page = comparison_html(comparison)
    dsc = comparison.measure("dsc")
    for summary in dsc.summaries:
        assert f"{summary.mean:.3f} ({summary.ci_low:.3f} to {summary.ci_high:.3f})" in page
    assert "0.100" in page
    for case in comparison.cases:
        assert f'<td class="n">{case.values["dsc"][0]:.3f}</td>' in page
    assert page.count("<img ") == 2
    for words in (
        "Research use only; not a medical device",
        "Mind.",
        "(Bonferroni, 1 pair)",
        comparison.contenders[0].model.digest[:12],
    ):
        assert words in page


def test_it_fetches_and_runs_nothing(comparison: Comparison) -> None:
    """No address outside of it, and hostile names stay text."""
    page = comparison_html(comparison)
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert not re.search(r'(src|href)="(?!data:image/|#)', page)
    assert "<script" not in page


@pytest.mark.parametrize(
    ("difference", "p_t", "p_wilcoxon", "words"),
    [
        (0.05, 0.01, 0.02, "A is better than B by 0.050 DSC (paired t P .010, Wilcoxon P .020, n = 9 patients): both"),
        (-0.05, 0.01, 0.2, "B is better than A by 0.050 DSC"),
        (-0.05, 0.01, 0.2, "only the paired t test"),
        (0.05, 0.5, 0.6, "may be chance"),
        (0.0, None, None, "No difference between A and B"),
    ],
)
def test_sentences(comparison: Comparison, difference: float, p_t: float, p_wilcoxon: float, words: str) -> None:
    """Who is ahead, by how much, and what the tests say of it."""
    pair = PairedComparison(first="A", second="B", n=9, difference=difference, p_t=p_t, p_wilcoxon=p_wilcoxon)
    assert words in sentence(pair, comparison.measure("dsc"))


def test_lower_may_be_better(comparison: Comparison) -> None:
    """A larger distance is worse, and an undefined difference is not a victory."""
    pair = PairedComparison(first="A", second="B", n=9, difference=2.0, p_t=0.01, p_wilcoxon=0.01)
    assert sentence(pair, comparison.measure("hd_mm")).startswith("B is better than A by 2.00\N{NO-BREAK SPACE}mm")
    none = PairedComparison(first="A", second="B", n=0, note="no patient has a value from both")
    assert sentence(none, comparison.measure("dsc")) == "A v B: no patient has a value from both."


def test_the_page_says_which_mean_is_which() -> None:
    """Two scans a patient: the interval that is shown is by patient; the mean over scans has its own column."""
    first = made_up_evaluation(12)
    rows = [row.model_copy(update={"patient": str(place // 2)}) for place, row in enumerate(first.cases)]
    one = first.model_copy(update={"cases": tuple(rows)})
    found = assemble([Entry("a", False, one), Entry("b", False, one)], AT)
    page, of = comparison_html(found), found.measure("dsc").summaries[0]
    cells = (
        f"{of.patient_mean:.3f} ({of.patient_ci_low:.3f} to {of.patient_ci_high:.3f})",
        "6",
        f"{of.mean:.3f}",
        "12",
    )
    assert "".join(f'<td class="n">{cell}</td>' for cell in cells) in page
    assert f"({of.ci_low:.3f} to {of.ci_high:.3f})" not in page
    for words in ("DSC, mean by patient (95 % CI)", "Mean over scans", "scans of one patient are not independent"):
        assert words in page


def test_the_papers_networks_are_quoted_from_its_table(comparison: Comparison) -> None:
    """DSC, distance and time of both networks in words, and the paper's mean in the row of a contender of its kind."""
    words = paper_in_words()
    assert words == (
        "DSC 0.659 v 0.675 (internal), 0.710 v 0.722 (external); Hausdorff distance, unit not stated, 10.44 v 9.09 "
        "(internal), 10.44 v 8.98 (external); time per case 67.0 v 74.0\N{NO-BREAK SPACE}ms (external)"
    )
    unet = comparison.contenders[0].model.model_copy(update={"architecture": "5 x unet, text, width 1, recipe r"})
    entry = made_up_evaluation(12).model_copy(update={"model": unet})
    page = comparison_html(assemble([Entry("a", False, entry), Entry("b", True, made_up_evaluation(12))], AT))
    assert words in page
    assert '<td class="n">0.710 (0.707-0.714)</td>' in page
    assert '<td class="n">10.44 (10.22-10.65)</td>' in page  # without the unit that the paper does not state
