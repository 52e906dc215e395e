from __future__ import annotations

import numpy as np

from training.bundle.interval_coverage import CasePrediction, Coverage, coverages

REPORTED = "certain to possible, 0.89 to 0.11 (reported)"


def prediction(manual_voxels: int, unseen: int = 0) -> CasePrediction:
    """Member 0 is sure of 2 voxels, predicts 3 and does not rule out 5; member 1 is sure of 6."""
    first = np.array([[[1, 1, 0.6, 0.3, 0.3, 0, 0, 0]]], np.float32)
    second = np.array([[[1, 1, 1, 1, 1, 1, 0, 0]]], np.float32)
    members = np.stack([first, second])
    return CasePrediction(members, members.mean(axis=0), unseen, 0.5, manual_voxels * 0.5)


def found(candidate: str, view: str, *cases: CasePrediction) -> Coverage:
    (one,) = [row for row in coverages(cases) if (row.candidate, row.view) == (candidate, view)]
    return one


def test_coverage_counts_the_cases_whose_manual_volume_is_held() -> None:
    """Both ends included; the width is the interval's in parts of the predicted volume."""
    cases = [prediction(voxels) for voxels in (1, 2, 5, 6)]
    row = found(REPORTED, "unseen member", *cases)
    assert (row.held, row.cases, row.width) == (2, 4, 1.0)


def test_each_view_scores_by_its_own_probabilities() -> None:
    """The member that never saw the patient alone; the mean of all; the members' own volumes."""
    assert found(REPORTED, "unseen member", prediction(6)).held == 0
    assert found(REPORTED, "unseen member", prediction(6, unseen=1)).held == 1
    assert found(REPORTED, "ensemble", prediction(6)).held == 1  # mean 0.5 in the sixth voxel
    assert found("smallest to largest member volume", "ensemble", prediction(4)).held == 1
    assert found("smallest to largest member volume", "ensemble", prediction(2)).held == 0
