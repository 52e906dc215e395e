"""Agreement of human raters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.labelled_cases import labelled_case

from training.evaluate.inter_rater import inter_rater, rate


def test_pairs_of_raters_by_hand() -> None:
    """Three raters of 16, 8 and 8 voxels: Dice 2/3, 2/3 and 1; the model is compared on the same cases."""
    rated = []
    for index in range(3):
        case = labelled_case(f"c{index}", lesion=4 + index)
        half = case.wmh.copy()
        half[:, 10 + (4 + index) // 2 :] = False
        rated.append(rate(replace(case, raters={"anna": half, "bert": half}), model_dsc=0.9 + index / 100))
    first = rated[0]
    assert first is not None
    assert first.mean_dsc == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    found = inter_rater([case for case in rated if case is not None])
    assert found.raters == ("anna", "bert", "wmh")
    assert found.cases == 3
    assert found.mean_r is not None
    assert found.mean_r > 0.7
    assert found.model_dsc == pytest.approx(0.91)
    assert found.p is not None


def test_one_rater_is_no_agreement() -> None:
    """Without a second rater nothing is made up, and the note says where his masks go."""
    assert rate(labelled_case("a"), 0.5) is None
    assert "raters/" in inter_rater([]).note


def test_one_rated_case_has_no_interval() -> None:
    """One case: a mean, no interval, no r, and the note says so."""
    case = labelled_case("a")
    rated = rate(replace(case, raters={"anna": np.zeros_like(case.wmh)}), 0.5)
    assert rated is not None
    found = inter_rater([rated])
    assert found.mean_dsc == 0
    assert found.ci_low is None
    assert "no r" in found.note
