"""Statistics of a group, and their words where there is no number."""

from __future__ import annotations

import pytest
from support.evaluations import made_up_records

from training.evaluate.document import CaseRecord, EvaluationSettings, Statistic
from training.evaluate.statistics import statistics_of
from training.evaluate.stratify import stratifications


def _records(count: int, **columns: object) -> list[CaseRecord]:
    return [record.model_copy(update=columns) for record in made_up_records(count)]


def _of(count: int, **columns: object) -> dict[str, Statistic]:
    return {item.name: item for item in statistics_of({"all": _records(count, **columns)}, EvaluationSettings())}


def test_a_cohort_of_one_says_what_is_missing() -> None:
    """One case: its DSC without interval, and every other statistic says how many cases it needs."""
    found = _of(1)
    assert found["dsc_mean"].value is not None
    assert "at least 2" in found["dsc_mean"].note
    for name in ("volume_r", "volume_ccc", "volume_cb", "uncertainty_index_dsc_r", "uncertainty_index_dsc_partial_r"):
        assert found[name].value is None
        assert "at least" in found[name].note


def test_no_prediction_at_all() -> None:
    """Nothing predicted in any case: no index, no triage, no distances, each with its reason."""
    found = _of(
        6, predicted_ml=0.0, uncertainty_index=None, inverse_volume=None, hd_mm=None, hd95_mm=None, surface_dice=None
    )
    for name in ("uncertainty_index_mean", "triage_percent_below", "triage_dsc_below", "hd_mm_mean", "volume_ccc"):
        assert found[name].value is None
        assert found[name].note


def test_ventricles_are_asked_for_by_name() -> None:
    """Without a ventricle network or mask the note says which of them is needed."""
    found = _of(4, ventricle_dsc=None, pv_dsc=None)
    assert "ventricles.nii.gz" in found["ventricle_dsc_mean"].note
    assert found["pv_dsc_mean"].value is None


def test_triage_share_by_hand() -> None:
    """All of four cases under the limit: 100 %, Wilson's lower end 51 %."""
    found = _of(4, uncertainty_index=0.2)["triage_percent_below"]
    assert found.value == 100
    assert found.ci_low == pytest.approx(51.01, abs=0.01)
    assert found.ci_high == pytest.approx(100)
    assert found.unit == "%"


def test_partial_columns_are_counted() -> None:
    """A mean over some of the cases says over how many."""
    records = list(made_up_records(5))
    records[0] = records[0].model_copy(update={"hd_mm": None})
    found = {item.name: item for item in statistics_of({"all": records}, EvaluationSettings())}
    assert found["hd_mm_mean"].n == 4
    assert "1 of 5" in found["hd_mm_mean"].note


def test_regions_by_ventricles_of_a_network_that_saw_the_patient() -> None:
    """Predicted ventricles divide WMH: DSC and volumes of the regions say in how many cases they were known."""
    found = _of(5, seen_in_training=True, regions_by="predicted ventricles", ventricle_dsc=None)
    words = "the ventricle network counts as having seen the patients of 5 of 5 cases"
    for name in ("pv_dsc_mean", "deep_dsc_mean", "pv_dsc_7mm5_mean", "deep_dsc_7mm5_mean"):
        assert found[name].note == words
    for name in ("pv_volume_r", "pv_volume_ccc", "pv_volume_cb", "deep_volume_ccc"):
        assert found[name].note == words
    assert found["volume_ccc"].note == ""
    divided = {
        item.name: item
        for item in stratifications(_records(5, seen_in_training=True, regions_by="predicted ventricles"))
    }
    assert words in divided["region_10mm"].note
    new = _of(5, seen_in_training=False, regions_by="predicted ventricles")
    assert new["pv_dsc_mean"].note == new["pv_volume_ccc"].note == new["ventricle_dsc_mean"].note == ""


def test_triage_says_how_many_have_no_index() -> None:
    """A case with nothing predicted is no case under the limit, and none above: the share counts those it is of."""
    records = [record.model_copy(update={"uncertainty_index": 0.2}) for record in made_up_records(5)]
    records[0] = records[0].model_copy(update={"uncertainty_index": None})
    found = {item.name: item for item in statistics_of({"all": records}, EvaluationSettings())}
    assert (found["triage_percent_below"].value, found["triage_percent_below"].n) == (100, 4)
    assert found["triage_percent_below"].note == "1 case of 5 with nothing predicted left out"
    assert _of(5, uncertainty_index=0.2)["triage_percent_below"].note == ""


def test_correlations_say_how_many_cases_they_lack() -> None:
    """r of an index that some cases do not have is of the others, and says so."""
    records = list(made_up_records(8))
    records[0] = records[0].model_copy(update={"uncertainty_index": None})
    found = {item.name: item for item in statistics_of({"all": records}, EvaluationSettings())}
    for name in ("uncertainty_index_dsc_r", "uncertainty_index_dsc_partial_r", "uncertainty_index_manual_volume_r"):
        assert (found[name].n, found[name].note) == (7, "undefined for 1 of 8 cases")
    assert found["volume_r"].note == ""


def test_one_member_is_said_of_the_scoring_and_not_of_the_model() -> None:
    """A model of five members may score each case by one: the note says who scored."""
    note = _of(4, member_dice=None)["member_dice_mean"].note
    assert note == "each case was scored by one member, so there is no pair"


def test_volumes_of_the_regions_at_both_distances() -> None:
    """Medians, r, CCC and C_b of periventricular and deep volume at 10 and at 7.5 mm, and why there are none."""
    found = _of(6)
    for name in ("pv_volume", "deep_volume", "pv_volume_7mm5", "deep_volume_7mm5"):
        distance = "7.5 mm" if name.endswith("7mm5") else "10 mm"
        for part in ("manual_ml_median", "predicted_ml_median", "r", "ccc", "cb"):
            assert found[f"{name}_{part}"].value is not None
            assert f"volume ({distance})" in found[f"{name}_{part}"].title
    narrow, wide = found["pv_volume_7mm5_manual_ml_median"], found["pv_volume_manual_ml_median"]
    assert narrow.value == pytest.approx(wide.value * 6 / 7)  # type: ignore[operator]
    none = _of(6, pv_manual_ml_7mm5=None, pv_predicted_ml_7mm5=None)
    assert "ventricle mask" in none["pv_volume_7mm5_manual_ml_median"].note
    assert none["pv_volume_7mm5_ccc"].value is None
