"""Risk against coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from support.evaluations import made_up_records

from training.evaluate.document import EvaluationSettings
from training.evaluate.risk_coverage import risk_coverage, risk_coverage_curves

FAST = EvaluationSettings(bootstrap_resamples=50)


def test_curve_by_hand() -> None:
    """Confidences 0.9, 0.5, 0.1 with risks 0, 0.3, 0.6: generalised risk 0, 0.1, 0.3."""
    found = risk_coverage(np.array([0.1, 0.9, 0.5]), np.array([0.6, 0.0, 0.3]))
    assert found.coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.selective_risk == pytest.approx([0, 0.15, 0.3])
    assert found.generalised_risk == pytest.approx([0, 0.1, 0.3])
    assert found.augrc == pytest.approx((0 + 0.05 + 0.2) / 3)
    assert found.aurc == pytest.approx(0.15)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_augrc_of_failures_is_traubs_formula(cases: list[tuple[int, bool]]) -> None:
    """For yes/no failures AUGRC = (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2 (Traub 2024, eq. 6), ties included."""
    confidence, failed = (np.array(values) for values in zip(*cases, strict=True))
    assume(0 < failed.sum() < len(failed))
    acc = 1 - failed.mean()
    expected = (1 - roc_auc_score(~failed, confidence)) * acc * (1 - acc) + (1 - acc) ** 2 / 2
    assert risk_coverage(confidence.astype(float), failed.astype(float)).augrc == pytest.approx(expected)


def test_a_good_score_has_the_smaller_area() -> None:
    """The made-up index separates good from bad cases: its area is below a random order's, and within its interval."""
    records = made_up_records(40)
    index = risk_coverage_curves(records, FAST)[0]
    mean_risk = np.mean([1 - record.dsc for record in records])
    assert index.augrc is not None
    assert index.augrc < mean_risk / 2
    assert index.augrc_ci_low is not None
    assert index.augrc_ci_high is not None
    assert index.augrc_ci_low < index.augrc < index.augrc_ci_high


def test_all_scores_cover_the_same_cases() -> None:
    """A case without an index is left out of every curve, not of one."""
    records = [*made_up_records(5), made_up_records(6)[5].model_copy(update={"uncertainty_index": None})]
    assert {len(curve.coverage) for curve in risk_coverage_curves(records, FAST)} == {5}


def test_one_member_and_few_cases_in_words() -> None:
    """One member: the other scores are still compared; two cases: no curve, and the note says how many are needed."""
    single = [record.model_copy(update={"member_dice": None}) for record in made_up_records(12)]
    by_score = {curve.score: curve for curve in risk_coverage_curves(single, FAST)}
    assert by_score["member_dice"].augrc is None
    assert "one member" in by_score["member_dice"].note
    assert by_score["uncertainty_index"].augrc is not None
    assert "at least 3" in risk_coverage_curves(made_up_records(2), FAST)[0].note


def test_missed_cases_do_not_leave_without_a_word() -> None:
    """Nothing predicted has no score: each curve says how many such cases it lacks, and how many had lesions."""
    records = list(made_up_records(12))
    missed = {"predicted_ml": 0.0, "uncertainty_index": None, "inverse_volume": None, "dsc": 0.0}
    records[0] = records[0].model_copy(update=missed)
    records[1] = records[1].model_copy(update={**missed, "lesions_manual": 0})
    words = "2 of 12 cases with nothing predicted left out, 1 of them with manual lesions"
    assert [curve.note for curve in risk_coverage_curves(records, FAST)] == [words] * 4
    assert risk_coverage_curves(records[:4], FAST)[0].note.endswith(
        "2 of 4 cases" + words.removeprefix("2 of 12 cases")
    )
    assert risk_coverage_curves(records[2:], FAST)[0].note == ""


def test_cases_scored_by_one_member_keep_their_place() -> None:
    """One new patient among training patients has a pair of members, the others none: three scores go on with all of
    them, and the member Dice says why it does not."""
    records = [record.model_copy(update={"member_dice": None}) for record in made_up_records(12)]
    records[3] = records[3].model_copy(update={"member_dice": 0.8})
    by_score = {curve.score: curve for curve in risk_coverage_curves(records, FAST)}
    assert [slug for slug, curve in by_score.items() if not curve.coverage] == ["member_dice"]
    mean_risk = pytest.approx(np.mean([1 - record.dsc for record in records]))
    assert all(curve.generalised_risk[-1] == mean_risk for curve in by_score.values() if curve.coverage)
    assert "11 of 12 cases were scored by one member" in by_score["member_dice"].note
