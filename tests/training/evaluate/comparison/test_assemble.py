"""Evaluations to a comparison: the same cases side by side, undefined values left undefined."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from support.evaluations import made_up_evaluation

from training.errors import BadCohort, BadEvaluation
from training.evaluate.comparison.assemble import Entry, assemble
from training.evaluate.comparison.document import Comparison
from training.evaluate.comparison.write import comparison_csv
from training.evaluate.document import Evaluation
from training.evaluate.means import SHARE, mean_with_interval

AT = datetime(2026, 1, 2, tzinfo=UTC)
EVIDENCE = Path(__file__).parents[3] / "docs" / "evidence"


def _worse(evaluation: Evaluation, by: float) -> Evaluation:
    """The same cases, each with a lower DSC; the first has no Hausdorff distance."""
    rows = [
        row.model_copy(update={"dsc": max(0.0, row.dsc - by), "predicted_ml": row.manual_ml + 2})
        for row in evaluation.cases
    ]
    rows[0] = rows[0].model_copy(update={"hd_mm": None})
    return evaluation.model_copy(update={"cases": tuple(rows)})


@pytest.fixture(scope="module")
def evaluations() -> tuple[Evaluation, ...]:
    """Twelve cases by three contenders."""
    first = made_up_evaluation(12)
    return first, _worse(first, 0.1), _worse(first, 0.3)


@pytest.fixture(scope="module")
def comparison(evaluations: tuple[Evaluation, ...]) -> Comparison:
    """Of the three, the last a baseline."""
    labels = ("five members", "one member", "plain threshold")
    entries = [
        Entry(label, label.startswith("plain"), evaluation)
        for label, evaluation in zip(labels, evaluations, strict=True)
    ]
    return assemble(entries, AT, ["A note."])


def test_values_stand_side_by_side(comparison: Comparison, evaluations: tuple[Evaluation, ...]) -> None:
    """Each case has a value of each contender, in their order; the volume's error is |automatic - manual|."""
    assert [contender.key for contender in comparison.contenders] == ["A", "B", "C"]
    assert [contender.baseline for contender in comparison.contenders] == [False, False, True]
    for place, case in enumerate(comparison.cases):
        assert case.values["dsc"] == tuple(each.cases[place].dsc for each in evaluations)
        assert case.values["volume_error_ml"][1] == pytest.approx(2.0)
    assert comparison.cases[0].values["hd_mm"][1] is None


def test_means_and_differences(comparison: Comparison, evaluations: tuple[Evaluation, ...]) -> None:
    """Means are of all cases, differences of pairs; an undefined value lowers n and is said."""
    dsc = comparison.measure("dsc")
    assert [row.mean for row in dsc.summaries] == [
        pytest.approx(np.mean([c.dsc for c in e.cases])) for e in evaluations
    ]
    assert dsc.pairs[0].difference == pytest.approx(0.1)
    assert dsc.p_all is not None
    distance = comparison.measure("hd_mm")
    assert [row.n for row in distance.summaries] == [12, 11, 11]
    assert distance.pairs[0].n == 11
    assert "1 patient without a value from both left out" in distance.pairs[0].note
    with pytest.raises(KeyError):
        comparison.measure("beauty")


def test_there_and_back(comparison: Comparison) -> None:
    """JSON gives an equal document; a damaged one is refused by name of its field."""
    assert Comparison.from_json(comparison.to_json()) == comparison
    with pytest.raises(BadEvaluation, match=r"comparison\.json"):
        Comparison.from_json("{}")
    short = comparison.to_json().replace('"volume_error_ml": [', '"volume_error_ml": [0.0,', 1)
    with pytest.raises(BadEvaluation, match="3 values"):
        Comparison.from_json(short)


def test_csv_has_a_row_a_case_and_contender(comparison: Comparison, evaluations: tuple[Evaluation, ...]) -> None:
    """Key and digest before the evaluation's own columns."""
    rows = list(csv.DictReader(io.StringIO(comparison_csv(comparison, evaluations))))
    assert len(rows) == 3 * 12
    assert [row["contender"] for row in rows[::12]] == ["A", "B", "C"]
    assert rows[12]["case"] == rows[0]["case"]
    assert float(rows[12]["dsc"]) == evaluations[1].cases[0].dsc
    assert rows[12]["hd_mm"] == ""


def test_other_cases_or_one_contender_are_refused(evaluations: tuple[Evaluation, ...]) -> None:
    """Pairs need the same cases in the same order, and two sides."""
    first = evaluations[0]
    turned = first.model_copy(update={"cases": first.cases[::-1]})
    with pytest.raises(BadCohort, match="same cases"):
        assemble([Entry("a", False, first), Entry("b", False, turned)], AT)
    with pytest.raises(BadCohort, match="2 to 26"):
        assemble([Entry("a", False, first)], AT)


def test_an_earlier_comparison_stands_beside_what_is_new(
    comparison: Comparison, evaluations: tuple[Evaluation, ...]
) -> None:
    """Its contenders come last, case by case, in whatever order it had them; one that was run again counts once."""
    changed = evaluations[0].model.model_copy(update={"digest": "f" * 64})
    new = _worse(evaluations[0], 0.2).model_copy(update={"model": changed})
    turned = comparison.model_copy(update={"cases": comparison.cases[::-1]})
    found = assemble([Entry("new", False, new)], AT, earlier=turned)
    assert [contender.label for contender in found.contenders] == [
        "new",
        "five members",
        "one member",
        "plain threshold",
    ]
    for case, before in zip(found.cases, comparison.cases, strict=True):
        assert case.values["dsc"][1:] == before.values["dsc"]
    assert found.measure("dsc").summaries[3].mean == pytest.approx(comparison.measure("dsc").summaries[2].mean)
    assert len(found.measure("dsc").pairs) == 6
    assert found.notes[-1] == "B, C, D: scored on these cases on 2026-01-02, and not run again."
    assert {row["contender"] for row in csv.DictReader(io.StringIO(comparison_csv(found, [new])))} == {"A"}
    again = assemble([Entry("again", False, evaluations[0]), Entry("new", False, new)], AT, earlier=comparison)
    assert [contender.label for contender in again.contenders].count("five members") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"case": "elsewhere"}, "expected it in the earlier comparison"),
        ({"patient": "another"}, "expected the patient"),
        ({"manual_ml": 123.0}, "got one of 123.000 mL"),
    ],
)
def test_an_earlier_comparison_of_other_cases_is_refused(
    comparison: Comparison, evaluations: tuple[Evaluation, ...], change: dict[str, object], words: str
) -> None:
    """Another case, another patient, another mask: pairs would mean nothing."""
    rows = list(evaluations[0].cases)
    rows[3] = rows[3].model_copy(update=change)
    other = evaluations[0].model_copy(update={"cases": tuple(rows)})
    with pytest.raises(BadCohort, match=words):
        assemble([Entry("other", False, other)], AT, earlier=comparison)
    fewer = evaluations[0].model_copy(update={"cases": evaluations[0].cases[:-1]})
    with pytest.raises(BadCohort, match="not among these cases"):
        assemble([Entry("fewer", False, fewer)], AT, earlier=comparison)


def test_a_comparison_of_two_patients_stays_within_its_range() -> None:
    """Means and differences of a comparison: differences of shares lie in -1 to 1, those of distances anywhere."""
    made = made_up_evaluation(6)
    first = made.model_copy(update={"cases": made.cases[:2]})
    rows = [
        row.model_copy(update={"dsc": 0.9 * place, "hd_mm": 5 + 40.0 * place}) for place, row in enumerate(first.cases)
    ]
    second = first.model_copy(update={"cases": tuple(rows)})
    comparison = assemble([Entry("a", False, first), Entry("b", False, second)], first.evaluated_at)
    dsc, distance = comparison.measure("dsc"), comparison.measure("hd_mm")
    assert (dsc.summaries[1].ci_low, dsc.summaries[1].ci_high) == (0, 1)
    assert (dsc.pairs[0].ci_low, dsc.pairs[0].ci_high) == (-1, 1)
    assert "interval cut at -1 and 1" in dsc.pairs[0].note
    assert distance.summaries[1].ci_low == 0
    assert (distance.pairs[0].ci_low or 0) < -1


def test_the_mean_by_patient_and_the_mean_over_scans(evaluations: tuple[Evaluation, ...]) -> None:
    """Ten scans of one patient are one patient: both means stand side by side, and the interval by patient is that of
    the patients' means."""
    rows = [
        row.model_copy(update={"dsc": 0.9 if place < 10 else 0.3 + 0.1 * (place % 2), "patient": str(max(place, 9))})
        for place, row in enumerate(evaluations[0].cases)
    ]
    one = evaluations[0].model_copy(update={"cases": tuple(rows)})
    summary = assemble([Entry("a", False, one), Entry("b", False, one)], AT).measure("dsc").summaries[0]
    patients = [0.9, rows[10].dsc, rows[11].dsc]
    expected = mean_with_interval(patients, SHARE)
    assert (summary.n, summary.patients) == (12, 3)
    assert summary.mean == pytest.approx(np.mean([row.dsc for row in rows]))
    assert summary.patient_mean == pytest.approx(np.mean(patients))
    assert (summary.patient_ci_low, summary.patient_ci_high) == pytest.approx((expected.low, expected.high))
    assert summary.ci_low is not None
    assert summary.patient_ci_low is not None
    assert summary.patient_ci_low < summary.ci_low  # three patients show less than twelve scans would


def test_the_papers_mean_stands_beside_its_kind_of_network(evaluations: tuple[Evaluation, ...]) -> None:
    """By the network of each contender; a rule has none, and the paper gives none for surface Dice."""
    kinds = ("5 x unet, published, width 1, recipe r", "5 x se-unet, published, width 1, recipe r", "a rule")
    entries = [
        Entry(words, False, each.model_copy(update={"model": each.model.model_copy(update={"architecture": words})}))
        for words, each in zip(kinds, evaluations, strict=True)
    ]
    found = assemble(entries, AT)
    assert [of.paper and of.paper.value for of in found.measure("dsc").summaries] == [0.710, 0.722, None]
    assert [of.paper and of.paper.value for of in found.measure("hd_mm").summaries] == [10.44, 8.98, None]
    assert [of.paper for of in found.measure("surface_dice").summaries] == [None] * 3


@pytest.mark.parametrize("file", sorted(EVIDENCE.glob("comparison*.json")), ids=lambda file: file.name)
def test_comparisons_from_before_the_mean_by_patient_are_read(file: Path) -> None:
    """Those that are kept as evidence still load, and stand beside what is new, by patient too."""
    before = Comparison.from_json(file.read_bytes())
    first = made_up_evaluation(len(before.cases))
    rows = [
        row.model_copy(update={"case": old.case, "patient": old.patient, "manual_ml": old.manual_ml})
        for row, old in zip(first.cases, before.cases, strict=True)
    ]
    found = assemble([Entry("new", False, first.model_copy(update={"cases": tuple(rows)}))], AT, earlier=before)
    assert len(found.contenders) == len(before.contenders) + 1
    assert all(of.patients == before.patients and of.patient_mean is not None for of in found.measure("dsc").summaries)
