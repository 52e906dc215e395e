"""The page: the document's numbers, nothing fetched, nothing run, plain words where there is no figure."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.evaluations import made_up_evaluation, made_up_shown_cases

from training.evaluate.document import Evaluation, PaperFigure
from training.report.html import LISTED_CASES, headline, report_html, write_report
from training.report.overview import overview

HOSTILE = "<script>alert(1)</script>\"'&$x_{1}$"


class Page(HTMLParser):
    """What a browser would take from the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        """The first row whose first cell begins with these letters."""
        return next(row for row in self.rows if row and row[0].startswith(first))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Every figure filled."""
    return made_up_evaluation()


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> Page:
    """Its page."""
    return Page(report_html(evaluation, made_up_shown_cases()))


def test_the_page_fetches_nothing(page: Page) -> None:
    """No script, no frame, no address but anchors of the page itself and data URIs; a policy in the page says so."""
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "link", "form", "base", "svg"}
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert re.match(r"(#|data:image/(png|svg\+xml);base64,)", attributes.get(name) or "#")
        assert not [name for name in attributes if name.startswith("on")]
        assert "url(" not in (attributes.get("style") or "")
    assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in page.tags)


def test_the_numbers_are_the_documents(evaluation: Evaluation, page: Page) -> None:
    """A statistic stands with its interval, SD, n and the paper's number; cases stand with theirs."""
    assert page.row("Mean DSC")[1:] == [
        "0.700 (0.680 to 0.720)",
        "0.100",
        "20",
        "",
        "0.722 (0.719-0.726)",
        "Paper: Abstract",
    ]
    worst = sorted(evaluation.cases, key=lambda record: record.dsc)[1]  # the worst is an outlier too
    cells = page.row(worst.case)
    assert f"{worst.dsc:.3f}" in cells
    assert f"{worst.manual_ml:.2f}" in cells
    assert f"{worst.uncertainty_index:.3f}" in cells
    assert "80.0\N{NO-BREAK SPACE}%" in page.text
    assert page.row("age, mean (SD)")[1:4] == ["67.4 (13.0)", "68.2 (12.8)", ".500"]
    assert page.row("thalamus")[1:4] == ["5", "0.700 (0.600 to 0.800)", "0.100"]


def test_the_page_says_what_it_is(evaluation: Evaluation, page: Page) -> None:
    """Name, version and digest of the model, intended use, definitions, and the note on training patients first."""
    model = evaluation.model
    for words in (
        model.name,
        model.version,
        model.digest,
        "Research use only; not a medical device",
        "Dice similarity",
    ):
        assert words in page.text
    cohort = evaluation.cohort.model_copy(update={"note": "3 cases are known to the model."})
    text = Page(report_html(evaluation.model_copy(update={"cohort": cohort}), ())).text
    assert text.index("3 cases are known to the model.") < text.index("95 % CI")


def test_every_figure_is_there(page: Page) -> None:
    """The paper's figures and ours: each a picture with its words, or the reason why there is none."""
    found = [attributes["id"] for tag, attributes in page.tags if tag == "figure"]
    paper = [f"figure-{number}" for number in ("1A", "1B", "1C", "1D", "1E", "2", "3A", "3B", "4")]
    paper.remove("figure-1B")  # those that are not drawn come last
    assert found == ["per-case", *paper, "calibration", "risk-coverage", "training-size", "figure-1B"]
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == len(found) - 1
    assert all(attributes["alt"] for attributes in pictures)
    assert "Not drawn: no case in a tertile." in page.text


def test_why_a_statistic_is_missing_is_said(page: Page) -> None:
    """Words of the document in place of a number, in the table and on the headline."""
    row = page.row("Lin's CCC")
    assert row[1] == "–"
    assert row[-1] == "At least 4 cases are needed, there are 2"
    assert "not computed for this group" in page.text
    assert "No case has masks of two raters" in page.text


def test_hostile_names_stay_text(evaluation: Evaluation) -> None:
    """A case, site or note full of mark-up is shown as it is written, also in figures, and nothing of it runs."""
    records = [
        record.model_copy(update={"case": f"{HOSTILE}{i}", "site": HOSTILE})
        for i, record in enumerate(evaluation.cases[:9])
    ]
    outlier = evaluation.agreement.outliers[0].model_copy(update={"case": HOSTILE})
    document = evaluation.model_copy(
        update={
            "cases": tuple(records),
            "notes": (HOSTILE,),
            "agreement": evaluation.agreement.model_copy(update={"outliers": (outlier,)}),
        }
    )
    page = Page(report_html(document, made_up_shown_cases()))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.row(HOSTILE)[0] == HOSTILE
    assert f"{HOSTILE}8" in page.text


def test_an_almost_empty_document_makes_a_page(evaluation: Evaluation) -> None:
    """Two cases and not one figure: the page stands, and says so in words."""
    blank = {
        name: type(getattr(evaluation, name))(note="too few cases")
        for name in ("density", "triage", "agreement", "baseline", "training_size", "reliability")
    }
    lists = dict.fromkeys(("statistics", "violins", "lines", "stratifications", "risk_coverage", "notes"), ())
    page = Page(report_html(evaluation.model_copy(update={**blank, **lists, "cases": evaluation.cases[:2]}), ()))
    assert page.text.count("Not drawn: too few cases.") == 5
    assert "No statistic was computed." in page.text
    assert "Too few cases." in page.text


def test_a_long_list_of_cases_is_cut_and_said_so(evaluation: Evaluation) -> None:
    """The worst cases are listed; how many are not stands above."""
    records = made_up_evaluation(LISTED_CASES + 3).cases
    page = Page(report_html(evaluation.model_copy(update={"cases": records}), ()))
    assert "3 cases with higher DSC left out" in page.text
    best = max(records, key=lambda record: record.dsc)
    assert not [row for row in page.rows if row and row[0] == best.case]


def test_headline_says_where_it_comes_from(evaluation: Evaluation) -> None:
    """Number of cases and which group the headline is of; mean DSC with CI and the paper's."""
    cards = headline(evaluation)
    assert cards[0].value == "60 cases"
    assert "20 of them are external cases" in cards[0].more
    assert (cards[1].value, cards[1].more) == (
        "0.700",
        ("95 % CI 0.680 to 0.720", "n = 20", "paper: 0.722 (0.719-0.726)"),
    )


def test_every_group_has_its_row(evaluation: Evaluation) -> None:
    """The overview has a row a group, a dash where a statistic is not possible."""
    rows = {row.group: row for row in overview(evaluation).rows}
    assert set(rows) == {"external", "site:Osaka"}
    assert (rows["external"].cells[0].value, rows["external"].cells[0].interval) == ("0.700", "0.680 to 0.720")
    assert all(cell.value == "–" for cell in rows["site:Osaka"].cells)


def test_report_is_written(evaluation: Evaluation, tmp_path: Path) -> None:
    """One file, in UTF-8, in a folder that is made."""
    path = write_report(evaluation, tmp_path / "new", ())
    assert path.name == "report.html"
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def _with_statistic(evaluation: Evaluation, **columns: object) -> Evaluation:
    return evaluation.model_copy(update={"statistics": (evaluation.statistics[0].model_copy(update=columns),)})


def test_the_papers_distance_has_no_unit(evaluation: Evaluation) -> None:
    """Ours has one; the paper does not state its own, and none is made up for it."""
    distance = PaperFigure(value=8.98, ci_low=8.77, ci_high=9.18, where="Results", is_unit_stated=False)
    time = PaperFigure(value=74.0, sd=6.6, where="Results")
    for paper, unit, cell in ((distance, "mm", "8.98 (8.77-9.18)"), (time, "ms", "74.0 (SD 6.6)\N{NO-BREAK SPACE}ms")):
        page = Page(report_html(_with_statistic(evaluation, unit=unit, paper=paper), ()))
        assert page.row("Mean DSC")[5] == cell
        assert page.row("Mean DSC")[1].endswith(f"\N{NO-BREAK SPACE}{unit}")


@pytest.mark.parametrize(
    ("rule", "words"), [("2d", "2d (in the plane of the slice"), ("3d", "3d (in space; the paper: 2d)")]
)
def test_the_settings_say_how_regions_were_distinguished(evaluation: Evaluation, rule: str, words: str) -> None:
    """The rule of distances, and by which ventricles, in how many cases."""
    settings = evaluation.settings.model_copy(update={"distance_rule": rule})
    others = {0: "predicted ventricles", 1: "predicted ventricles", 2: None}
    records = [
        record.model_copy(update={"regions_by": others.get(place, "manual ventricles")})
        for place, record in enumerate(evaluation.cases)
    ]
    page = Page(report_html(evaluation.model_copy(update={"settings": settings, "cases": tuple(records)}), ()))
    assert f"within 10.0 and 7.5 mm of the ventricles, distance rule {words}" in page.text
    assert "WMH divided by: manual ventricles in 57, predicted ventricles in 2, none in 1" in page.text


def test_a_unets_report_names_what_stands_beside_it(evaluation: Evaluation) -> None:
    """The paper's UNet where it gives one, its SE-UNet's figures by that name."""
    model = evaluation.model.model_copy(update={"architecture": "5 x unet, text, width 1, recipe r"})
    text = Page(report_html(evaluation.model_copy(update={"model": model}), ())).text
    assert "measures stand beside the paper's UNet" in text
    assert "measures stand beside the paper's UNet" not in Page(report_html(evaluation, ())).text


def test_cases_left_out_are_said_on_the_headline_and_under_the_curves(evaluation: Evaluation) -> None:
    """A missed lesion has no score: the card of the triage, its figure and the risk-coverage curves say so."""
    left_out = "2 cases of 22 with nothing predicted left out"
    curves = [curve.model_copy(update={"note": "2 of 22 cases missed"}) for curve in evaluation.risk_coverage]
    triage = evaluation.triage.model_copy(update={"note": left_out})
    document = evaluation.model_copy(update={"triage": triage, "risk_coverage": tuple(curves)})
    assert left_out in headline(document)[3].more
    text = Page(report_html(document, ())).text
    assert "A lower line is a better score. 2 of 22 cases missed." in text
    assert text.count(left_out) == 2


def test_what_is_counted_in_scans_is_not_called_patients(page: Page) -> None:
    """Shares are of cases; the table of characteristics is of patients; cases are named by their folders."""
    assert "of the cases are below" in page.text
    assert "of the patients lie below" not in page.text
    assert "20 patients" in page.row("Characteristic")[2]
    assert "Cases are named by their folders." in page.text
    assert [a["alt"] for _, a in page.tags if (a.get("alt") or "").startswith("Cumulative share of 20 cases")]
