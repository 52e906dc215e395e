"""The numbers behind figures 1A-E, 3A, 3B and 4 of the paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import statsmodels.api as sm
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy import stats

from training.evaluate.columns import Value, defined, dsc, nothing_predicted, uncertainty_index
from training.evaluate.correlation import FEWEST_FOR_R, correlation
from training.evaluate.document import (
    AgreementFigure,
    CaseRecord,
    DensityFigure,
    EvaluationSettings,
    FittedLine,
    InterRater,
    LineFigure,
    LinePoint,
    LineSeries,
    SampleGroup,
    TriageFigure,
    ViolinFigure,
)
from training.evaluate.means import SHARE, mean_with_interval
from training.evaluate.outliers import find_outliers
from training.evaluate.paper import PaperReference
from training.evaluate.strata import (
    Division,
    by_dsc,
    by_infarct_site,
    by_infarct_volume,
    by_uncertainty,
    by_volume_quartile,
    by_wmh_tertile,
)
from training.evaluate.tests_of_difference import anova

FEWEST_FOR_DENSITY: Final = 10

_PAPER: Final = PaperReference()

Divide = Callable[[Sequence[CaseRecord]], Division]


def violin_figures(records: Sequence[CaseRecord], paper_reference: PaperReference = _PAPER) -> tuple[ViolinFigure, ...]:
    """Figures 1A (infarct volume) and 1B (WMH volume), with the paper's means that stand beside them."""
    return (
        _violin("1A", "infarct_volume", "DSC by infarct volume", by_infarct_volume(records), paper_reference),
        _violin("1B", "wmh_tertile", "DSC by WMH volume", by_wmh_tertile(records), paper_reference),
    )


def line_figures(records: Sequence[CaseRecord]) -> tuple[LineFigure, ...]:
    """Figures 1C to 1E, and infarct site against uncertainty (the paper's online supplement)."""
    return (
        _lines("1C", records, by_infarct_volume(records), by_uncertainty, dsc, "DSC", "SD"),
        _lines("1D", records, by_wmh_tertile(records), by_uncertainty, dsc, "DSC", "SD"),
        _lines("1E", records, by_volume_quartile(records), by_dsc, uncertainty_index, "uncertainty index", "95 % CI"),
        _lines("S1", records, by_infarct_site(records), by_uncertainty, dsc, "DSC", "SD"),
    )


def density_figure(records: Sequence[CaseRecord]) -> DensityFigure:
    """Figure 3A."""
    known = _with_uncertainty(records)
    index, scores = _columns(known)
    notes = [nothing_predicted(records)]
    density = None
    found = correlation(index, scores)
    if found is None:
        notes.append(f"no correlation: at least {FEWEST_FOR_R} cases that vary are needed, there are {len(known)}")
    if len(known) >= FEWEST_FOR_DENSITY:
        density = _density(index, scores)
    if density is None:
        notes.append(f"no density: at least {FEWEST_FOR_DENSITY} cases that vary are needed, there are {len(known)}")
    return DensityFigure(
        cases=tuple(record.case for record in known),
        uncertainty_index=tuple(index.tolist()),
        dsc=tuple(scores.tolist()),
        density=density,
        r=found.r if found else None,
        p=found.p if found else None,
        note="; ".join(note for note in notes if note),
    )


def triage_figure(records: Sequence[CaseRecord], settings: EvaluationSettings, inter_rater: InterRater) -> TriageFigure:
    """Figure 3B; cases with nothing predicted have no index and are left out."""
    known = sorted(_with_uncertainty(records), key=lambda record: record.uncertainty_index or 0.0)
    measured = inter_rater.mean_dsc is not None
    reference = inter_rater.mean_dsc if inter_rater.mean_dsc is not None else inter_rater.paper_dsc.value
    if not known:
        note = "no case has an uncertainty index: nothing was predicted"
        return TriageFigure(
            limit=settings.review_above, inter_rater_dsc=reference, inter_rater_measured=measured, note=note
        )
    index, scores = _columns(known)
    count = np.arange(1, len(known) + 1)
    below = index < settings.review_above
    return TriageFigure(
        uncertainty_index=tuple(index.tolist()),
        cumulative_percent=tuple((100 * count / len(known)).tolist()),
        cumulative_dsc=tuple((np.cumsum(scores) / count).tolist()),
        limit=settings.review_above,
        percent_below=float(100 * below.mean()),
        dsc_below=float(scores[below].mean()) if below.any() else None,
        inter_rater_dsc=reference,
        inter_rater_measured=measured,
        note=nothing_predicted(records),
    )


def agreement_figure(records: Sequence[CaseRecord], settings: EvaluationSettings) -> AgreementFigure:
    """Figure 4; the lines are least squares of predicted on manual mL."""
    found = find_outliers(records, settings.outlier_p)
    off = {outlier.case for outlier in found.outliers}
    inside = [record for record in records if record.case not in off]
    line = _line(records)
    return AgreementFigure(
        cases=tuple(record.case for record in records),
        manual_ml=tuple(record.manual_ml for record in records),
        predicted_ml=tuple(record.predicted_ml for record in records),
        outliers=found.outliers,
        line=line,
        line_without_outliers=_line(inside) if off else line,
        note=found.note,
    )


def _violin(figure: str, name: str, title: str, division: Division, paper_reference: PaperReference) -> ViolinFigure:
    values = {label: tuple(record.dsc for record in records) for label, records in division.strata.items()}
    if division.empty:
        return ViolinFigure(figure=figure, title=title, x_label=division.by, y_label="DSC", note=division.note)
    test = anova(values)
    return ViolinFigure(
        figure=figure,
        title=title,
        x_label=division.by,
        y_label="DSC",
        groups=tuple(
            SampleGroup(label=label, values=numbers, paper=paper_reference.stratum(name, label))
            for label, numbers in values.items()
        ),
        p=test.p,
        test=test.name,
        note="; ".join(note for note in (division.note, test.note) if note),
    )


def _lines(
    figure: str,
    records: Sequence[CaseRecord],
    lines: Division,
    points: Divide,
    value_of: Value,
    quantity: str,
    bars: Literal["SD", "95 % CI"],
) -> LineFigure:
    x_label = points(records).by
    placed = [record for members in lines.strata.values() for record in members]
    title = f"{quantity} by {x_label} and {lines.by.split(',')[0]}"
    if lines.empty:
        return LineFigure(figure=figure, title=title, x_label=x_label, y_label=quantity, bars=bars, note=lines.note)
    return LineFigure(
        figure=figure,
        title=title,
        x_label=x_label,
        y_label=quantity,
        bars=bars,
        series=tuple(
            LineSeries(label=label, points=_points(points(members).strata, value_of, bars))
            for label, members in lines.strata.items()
            if members
        ),
        # Every one of these figures has the uncertainty index on an axis.
        note="; ".join(note for note in (lines.note, nothing_predicted(placed)) if note),
    )


def _points(
    strata: Mapping[str, Sequence[CaseRecord]], value_of: Value, bars: Literal["SD", "95 % CI"]
) -> tuple[LinePoint, ...]:
    points = []
    for label, members in strata.items():
        found = mean_with_interval(defined(members, value_of), SHARE)
        low, high = found.low, found.high
        if bars == "SD" and found.mean is not None and found.sd is not None:
            low, high = found.mean - found.sd, found.mean + found.sd
        points.append(LinePoint(label=label, mean=found.mean, low=low, high=high, n=found.n))
    return tuple(points)


def _density(index: NDArray[Any], dsc: NDArray[Any]) -> tuple[float, ...] | None:
    points = np.vstack([index, dsc])
    try:
        values = stats.gaussian_kde(points)(points)
    except LinAlgError:  # all points on a line
        return None
    return tuple(values.tolist()) if np.isfinite(values).all() else None


def _line(records: Sequence[CaseRecord]) -> FittedLine | None:
    manual = np.array([record.manual_ml for record in records])
    if len(records) < FEWEST_FOR_R or np.ptp(manual) == 0:
        return None
    predicted = np.array([record.predicted_ml for record in records])
    intercept, slope = sm.OLS(predicted, sm.add_constant(manual)).fit().params
    return FittedLine(intercept=float(intercept), slope=float(slope))


def _with_uncertainty(records: Sequence[CaseRecord]) -> list[CaseRecord]:
    return [record for record in records if record.uncertainty_index is not None]


def _columns(records: Sequence[CaseRecord]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    index = np.array([record.uncertainty_index for record in records], np.float64)
    return index, np.array([record.dsc for record in records], np.float64)
