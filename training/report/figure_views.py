"""Which figures the report has, in which order, and what stands under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation.measures import REVIEW_ABOVE
from training.evaluate.document import Evaluation, LineFigure, ViolinFigure
from training.evaluate.gallery import ShownCase
from training.report.figures.agreement import draw_agreement
from training.report.figures.calibration import draw_reliability
from training.report.figures.case_bars import draw_case_bars
from training.report.figures.density import draw_density
from training.report.figures.representative import draw_representative
from training.report.figures.risk_coverage import draw_risk_coverage
from training.report.figures.strata_lines import draw_lines
from training.report.figures.style import Drawing, Picture, p_words
from training.report.figures.training_size import draw_training_size
from training.report.figures.triage import draw_triage
from training.report.figures.violins import draw_violins
from training.report.words import group_words, number


@dataclass(frozen=True)
class FigureView:
    """A figure as the page shows it: a picture, or the words why there is none.

    Attributes:
        key: its anchor.
        title: in a few words.
        tag: which figure of the paper it repeats; empty for ours.
        caption: how to read it.
        uri: the picture; empty when `absent` says why there is none.
        alt: the picture in words.
        width_in: inches, so that letters have one size.
        absent: why there is no picture.
        wide: takes the page's whole width.
    """

    key: str
    title: str
    tag: str
    caption: str
    uri: str
    alt: str
    width_in: float
    absent: str
    wide: bool

    @classmethod
    def of(
        cls, key: str, title: str, picture: Picture, caption: str = "", tag: str = "", *, wide: bool = False
    ) -> FigureView:
        """A picture with its words; a caption is about the picture, so there is none without it."""
        if isinstance(picture, Drawing):
            return cls(key, title, tag, caption, picture.uri, picture.alt, picture.width_in, "", wide)
        return cls(key, title, tag, "", "", "", 0.0, picture.reason.rstrip("."), wide)


def case_bars(document: Evaluation) -> FigureView:
    """Every case of the document."""
    return FigureView.of(
        "per-case", "DSC of every case", draw_case_bars(document.cases), "The dashed line is the mean.", wide=True
    )


def figure_views(document: Evaluation, shown: Sequence[ShownCase]) -> list[FigureView]:
    """Every figure of the paper in its order, then ours."""
    return [
        *(_violins(figure) for figure in document.violins),
        *(_lines(figure) for figure in document.lines),
        _representative(shown),
        _density(document),
        _triage(document),
        _agreement(document),
        _reliability(document),
        _risk_coverage(document),
        _training_size(document),
    ]


def _violins(figure: ViolinFigure) -> FigureView:
    caption = "Line: median; dotted: quartiles; dots: cases; grey diamond: the paper's mean."
    if figure.p is not None:
        caption += f" {p_words(figure.p)} ({figure.test})."
    caption = _with_note(caption, figure.note)
    return FigureView.of(f"figure-{figure.figure}", figure.title, draw_violins(figure), caption, _tag(figure.figure))


def _lines(figure: LineFigure) -> FigureView:
    caption = _with_note(f"Dots: mean; bars: {figure.bars}; a gap: no case.", figure.note)
    return FigureView.of(f"figure-{figure.figure}", figure.title, draw_lines(figure), caption, _tag(figure.figure))


def _representative(shown: Sequence[ShownCase]) -> FigureView:
    caption = (
        "The slice with most WMH of cases with low (left) and high (right) uncertainty index. Vermilion line: manual; "
        "sky blue: automatic, drawn on top. Orange: uncertainty, 1 - KL divergence from 0.5 in bits, deeper where the "
        "model is less sure."
    )
    picture = draw_representative(shown)
    return FigureView.of("figure-2", "Representative cases", picture, caption, _tag("2"), wide=True)


def _density(document: Evaluation) -> FigureView:
    density = document.density
    caption = _with_note("Every dot is a case; with many cases, darker dots show where they are densest.", density.note)
    return FigureView.of("figure-3A", "Uncertainty index and DSC", draw_density(density), caption, _tag("3A"))


def _triage(document: Evaluation) -> FigureView:
    triage = document.triage
    caption = (
        f"{number(triage.percent_below, '%')} of the cases are below {triage.limit:.3g}, with a mean DSC of "
        f"{number(triage.dsc_below)} (paper, below {REVIEW_ABOVE:g}: {triage.paper_percent_below:g} %, "
        f"{triage.paper_dsc_below:g})."
    )
    title = "Triage by uncertainty index"
    return FigureView.of("figure-3B", title, draw_triage(triage), _with_note(caption, triage.note), _tag("3B"))


def _agreement(document: Evaluation) -> FigureView:
    agreement = document.agreement
    few = len(agreement.outliers)
    limit = f"studentised residuals, Bonferroni P < {document.settings.outlier_p:g}"
    caption = f"{few} outlier{'' if few == 1 else 's'} ({limit})."
    if agreement.line_without_outliers is not None and few:
        line = agreement.line_without_outliers
        caption += f" Without: y = {line.intercept:.2f} + {line.slope:.3f} x."
    title = "Agreement of volumes"
    return FigureView.of("figure-4", title, draw_agreement(agreement), _with_note(caption, agreement.note), _tag("4"))


def _reliability(document: Evaluation) -> FigureView:
    curve = document.reliability
    caption = f"On {curve.region or 'voxels near lesions'}. Below the diagonal: the model overestimates WMH."
    title = "Calibration"
    return FigureView.of("calibration", title, draw_reliability(curve), _with_note(caption, curve.note))


def _risk_coverage(document: Evaluation) -> FigureView:
    caption = (
        "The value of a confidence score: cases are kept in order of certainty "
        f"({group_words(document.figure_group)}). "
        "A lower line is a better score."
    )
    notes = dict.fromkeys(curve.note for curve in document.risk_coverage if curve.note)
    picture = draw_risk_coverage(document.risk_coverage)
    return FigureView.of("risk-coverage", "Risk-coverage", picture, _with_note(caption, "; ".join(notes)))


def _training_size(document: Evaluation) -> FigureView:
    curve = document.training_size
    caption = "The paper's line: its external sets."
    if curve.p is not None:
        caption += f" {p_words(curve.p)} ({curve.test})."
    picture = draw_training_size(curve)
    title, tag = "DSC by number of training patients", "paper, Results"
    return FigureView.of("training-size", title, picture, _with_note(caption, curve.note), tag)


def _tag(number_in_paper: str) -> str:
    return f"paper, Fig {number_in_paper}"


def _with_note(caption: str, note: str) -> str:
    return f"{caption} {note[:1].upper()}{note[1:].rstrip('.')}." if note else caption
