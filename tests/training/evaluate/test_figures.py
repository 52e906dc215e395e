"""The numbers behind the figures."""

from __future__ import annotations

import numpy as np
import pytest
from support.evaluations import made_up_records

from training.evaluate.document import CaseRecord, EvaluationSettings, InterRater
from training.evaluate.figures import (
    agreement_figure,
    density_figure,
    line_figures,
    triage_figure,
    violin_figures,
)

SETTINGS = EvaluationSettings()
NO_RATERS = InterRater(note="none")


def _record(name: str, **columns: object) -> CaseRecord:
    return made_up_records(1)[0].model_copy(update={"case": name, "patient": name, **columns})


def test_triage_by_hand() -> None:
    """Cases join in order of their index; under 0.35 lie two of four, of mean DSC 0.8."""
    cases = [(0.5, 0.4), (0.1, 0.9), (0.35, 0.6), (0.2, 0.7)]
    found = triage_figure([_record(str(u), uncertainty_index=u, dsc=d) for u, d in cases], SETTINGS, NO_RATERS)
    assert found.uncertainty_index == (0.1, 0.2, 0.35, 0.5)
    assert found.cumulative_percent == (25, 50, 75, 100)
    assert found.cumulative_dsc == pytest.approx((0.9, 0.8, 2.2 / 3, 0.65))
    assert (found.percent_below, found.dsc_below) == pytest.approx((50, 0.8))
    assert (found.inter_rater_dsc, found.inter_rater_measured) == (0.744, False)


def test_triage_without_any_prediction() -> None:
    """Nothing predicted anywhere: no curve, and the note says why; the raters' line is ours when measured."""
    raters = InterRater(mean_dsc=0.7, cases=3)
    found = triage_figure([_record("a", uncertainty_index=None)], SETTINGS, raters)
    assert found.cumulative_percent == ()
    assert "nothing was predicted" in found.note
    assert (found.inter_rater_dsc, found.inter_rater_measured) == (0.7, True)


def test_outlier_off_the_diagonal_is_named() -> None:
    """One case of 50 mL that is called 5 stands out by name; without it the line is nearly the diagonal."""
    rng = np.random.default_rng(1)
    manual = rng.uniform(5, 40, 30)
    records = [
        _record(f"c{i}", manual_ml=v, predicted_ml=v + e)
        for i, (v, e) in enumerate(zip(manual, rng.normal(0, 1, 30), strict=True))
    ]
    records.append(_record("missed", manual_ml=50.0, predicted_ml=5.0))
    found = agreement_figure(records, SETTINGS)
    assert [outlier.case for outlier in found.outliers] == ["missed"]
    assert found.outliers[0].residual_ml == -45
    assert found.line is not None
    assert found.line_without_outliers is not None
    assert found.line_without_outliers.slope == pytest.approx(1, abs=0.05)
    assert found.line.slope < found.line_without_outliers.slope - 0.05


def test_few_cases_in_words() -> None:
    """Two cases: no line, no outliers, no density, no r; every figure says how many it needs."""
    records = made_up_records(2)
    assert agreement_figure(records, SETTINGS).line is None
    assert "at least 5" in agreement_figure(records, SETTINGS).note
    density = density_figure(records)
    assert (density.r, density.density) == (None, None)
    assert "at least 3" in density.note
    assert "at least 10" in density.note


def test_points_on_a_line_have_no_density() -> None:
    """Equal cases have no density; nothing raises, nothing is NaN."""
    found = density_figure([_record(str(i), uncertainty_index=0.3, dsc=0.7) for i in range(12)])
    assert found.density is None
    assert found.r is None


def test_density_is_highest_in_the_crowd() -> None:
    """The stray point has the lowest density."""
    rng = np.random.default_rng(2)
    crowd = [_record(str(i), uncertainty_index=0.2 + rng.normal(0, 0.02), dsc=0.8) for i in range(20)]
    crowd = [c.model_copy(update={"dsc": 0.8 + rng.normal(0, 0.02)}) for c in crowd]
    found = density_figure([*crowd, _record("stray", uncertainty_index=0.9, dsc=0.1)])
    assert found.density is not None
    assert np.argmin(found.density) == 20


def test_violins_hold_every_case_once() -> None:
    """1A and 1B hold each case's DSC in exactly one group."""
    records = made_up_records(40)
    for violin in violin_figures(records):
        assert sorted(v for group in violin.groups for v in group.values) == sorted(r.dsc for r in records)


def test_lines_share_their_points() -> None:
    """Every series of 1C to 1E has the same points; SD bars are mean -+ SD."""
    figures = {figure.figure: figure for figure in line_figures(made_up_records(80))}
    assert set(figures) == {"1C", "1D", "1E", "S1"}
    for figure in figures.values():
        assert len({tuple(point.label for point in series.points) for series in figure.series}) == 1
    point = next(p for series in figures["1C"].series for p in series.points if p.n > 2)
    assert point.mean is not None
    assert point.low is not None
    assert point.high is not None
    assert point.mean - point.low == pytest.approx(point.high - point.mean)
    assert figures["1E"].bars == "95 % CI"


def test_figures_say_how_many_cases_have_no_index() -> None:
    """Every figure with the uncertainty index on an axis says how many cases with nothing predicted it lacks; a case
    that the figure leaves out for another reason is not among them."""
    records = list(made_up_records(40))
    for place in (0, 1):
        records[place] = records[place].model_copy(update={"uncertainty_index": None})
    records[1] = records[1].model_copy(update={"clinical": {}})
    notes = {figure.figure: figure.note for figure in line_figures(records)}
    assert notes["1C"].endswith("left out; 1 case of 39 with nothing predicted left out")
    assert notes["S1"].endswith("left out; 1 case of 39 with nothing predicted left out")
    assert notes["1D"] == notes["1E"] == "2 cases of 40 with nothing predicted left out"
    assert density_figure(records).note == notes["1D"]
    assert triage_figure(records, SETTINGS, NO_RATERS).note == notes["1D"]
    assert density_figure(records[2:]).note == ""
