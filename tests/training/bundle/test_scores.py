"""Leave-patients-out scores: each case by the member that never saw its patient."""

from __future__ import annotations

import numpy as np
import pytest
from support.labelled_cases import labelled_case

from segmentation.preprocessing.settings import PreprocessingSettings
from training.bundle.scores import leave_out_scores
from training.errors import BadCohort


def test_no_member_scores_a_patient_it_saw() -> None:
    """Each case is predicted by the one member that was trained without its patient; without one it is refused."""
    cases = [labelled_case(name, lesion=0, seed=index) for index, name in enumerate("abcd")]
    held_out = [("c",), ("a", "d"), ("b",)]
    asked: list[int] = []

    def predict(member: int, images: np.ndarray) -> np.ndarray:
        asked.append(member)
        return np.zeros_like(images)

    settings = PreprocessingSettings(size=32)
    scores = leave_out_scores(cases, held_out, predict, settings)
    assert asked == [1, 2, 0, 1]
    assert [score.member for score in scores] == asked
    assert all(score.dsc == 1 for score in scores)  # nothing to find, nothing found
    with pytest.raises(BadCohort, match="b: expected a patient that one of the 2 members never saw"):
        leave_out_scores(cases, held_out[:2], predict, settings)
