"""The paper's divisions and what is tested over them."""

from __future__ import annotations

import pytest
from support.evaluations import made_up_records

from training.evaluate.document import CaseRecord
from training.evaluate.strata import (
    by_dsc,
    by_infarct_site,
    by_infarct_volume,
    by_uncertainty,
    by_volume_quartile,
    by_wmh_tertile,
)
from training.evaluate.stratify import stratifications


def _record(name: str, **columns: object) -> CaseRecord:
    return made_up_records(1)[0].model_copy(update={"case": name, "patient": name, **columns})


def _sizes(strata: object) -> list[int]:
    return [len(records) for records in strata.strata.values()]  # type: ignore[attr-defined]


def test_infarct_limits_lie_in_the_middle() -> None:
    """1.7 and 14 mL belong to the paper's "1.7-14 mL"."""
    volumes = (1.69, 1.7, 14.0, 14.1)
    records = [_record(str(v), clinical={"infarct_volume_ml": v}) for v in volumes]
    assert _sizes(by_infarct_volume(records)) == [1, 2, 1]


def test_uncertainty_and_dsc_limits_open_the_next_bin() -> None:
    """0.2 is in 0.2-0.4, 0.8 and 1 in the last bin; DSC 0.80 in the highest; no index: left out and noted."""
    values = (0.0, 0.2, 0.8, 1.0, None)
    division = by_uncertainty([_record(str(v), uncertainty_index=v) for v in values])
    assert _sizes(division) == [1, 1, 0, 0, 2]
    assert "1 case" in division.note
    assert _sizes(by_dsc([_record(str(v), dsc=v) for v in (0.59, 0.60, 0.799, 0.80)])) == [1, 1, 0, 0, 1, 1]


def test_thirds_and_quarters_are_of_these_cases() -> None:
    """Nine and eight volumes divide evenly; tertiles go by the manual, quartiles by the predicted volume."""
    nine = [_record(str(v), manual_ml=float(v)) for v in range(9)]
    assert _sizes(by_wmh_tertile(nine)) == [3, 3, 3]
    eight = [_record(str(v), predicted_ml=float(v)) for v in range(8)]
    assert _sizes(by_volume_quartile(eight)) == [2, 2, 2, 2]
    assert "at least 3" in by_wmh_tertile(nine[:2]).note


def test_infarct_sites_are_the_papers_eight() -> None:
    """Upper case does not matter; a site that the paper does not have is left out by name."""
    records = [_record(site, clinical={"infarct_site": site}) for site in ("Pons", "cortex", "spleen")]
    division = by_infarct_site(records)
    assert len(division.strata["pons"]) == len(division.strata["cortex"]) == 1
    assert "spleen" in division.note
    assert len(division.strata) == 8


def test_missing_column_is_said() -> None:
    """Without the clinical column there is no stratum, and the note names the column."""
    records = [record.model_copy(update={"clinical": {}}) for record in made_up_records(5)]
    found = {item.name: item for item in stratifications(records)}
    assert "infarct_volume_ml" in found["infarct_volume"].note
    assert found["infarct_volume"].rows == ()
    assert "infarct_site" in found["infarct_site"].note


def test_means_test_and_pairs() -> None:
    """Two strata that differ have their means, the paper's beside them, P over all and Bonferroni pairs."""
    small = [_record(f"s{i}", dsc=0.80 + i / 100, clinical={"infarct_volume_ml": 1.0}) for i in range(4)]
    large = [_record(f"l{i}", dsc=0.50 + i / 100, clinical={"infarct_volume_ml": 20.0}) for i in range(4)]
    found = stratifications([*small, *large])[0]
    assert [row.n for row in found.rows] == [4, 0, 4]
    assert found.rows[0].mean == pytest.approx(0.815)
    assert found.rows[0].paper is not None
    assert found.rows[0].paper.value == 0.737
    assert found.p is not None
    assert found.p < 0.001
    assert [(pair.first, pair.second) for pair in found.pairs] == [("< 1.7 mL", "> 14 mL")]
    assert found.pairs[0].difference == pytest.approx(0.3)
    assert "1.7-14 mL" in found.note  # too few for the test


def test_regions_are_compared_within_the_case() -> None:
    """Periventricular and deep DSC of one case are paired; a case with one region only stays out of the test."""
    records = [_record(str(i), pv_dsc=0.8 + i / 100, deep_dsc=0.6 + i / 50) for i in range(4)]
    records.append(_record("deep only", pv_dsc=None, deep_dsc=0.1))
    found = {item.name: item for item in stratifications(records)}["region_10mm"]
    assert [row.n for row in found.rows] == [4, 5]
    assert "paired t test of 4 cases" in found.test
    assert found.p is not None


def test_values_that_strata_lack_are_counted() -> None:
    """The index by volume leaves out cases without one, and regions those without ventricles: both say how many."""
    records = [_record(str(i), predicted_ml=float(i)) for i in range(8)]
    records[0] = records[0].model_copy(update={"uncertainty_index": None, "pv_dsc": None, "deep_dsc": None})
    found = {item.name: item for item in stratifications(records)}
    assert "undefined for 1 of 8 cases" in found["uncertainty_by_volume"].note
    assert "undefined for 1 of 8 cases" in found["region_10mm"].note
    assert "undefined" not in found["region_7mm5"].note
