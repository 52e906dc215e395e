"""Each case's score by the one member that never saw its patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.cases import LabelledCase
from training.dice import dice
from training.errors import BadCase, BadCohort

# Probabilities float32 (slice, row, column) of one member, counted from 0, for normalised slices of the same shape.
PredictMember = Callable[[int, NDArray[np.float32]], NDArray[Any]]
_THRESHOLD = 0.5


@dataclass(frozen=True)
class MemberScore:
    """One case, judged by the member that never saw its patient; `member` counts from 0."""

    case: str
    member: int
    dsc: float
    manual_ml: float
    predicted_ml: float


def leave_out_scores(
    cases: Sequence[LabelledCase],
    held_out: Sequence[Sequence[str]],
    predict: PredictMember,
    settings: PreprocessingSettings,
    target: str = "wmh",
) -> list[MemberScore]:
    """Score every case on its native grid; `held_out` names the patients that each member was trained without.

    Raises:
        BadCohort: a case whose patient no member was trained without.
        BadCase: a case without the mask of `target`.
    """
    return [_score(case, judge(case, held_out), predict, settings, target) for case in cases]


def judge(case: LabelledCase, held_out: Sequence[Sequence[str]]) -> int:
    """The member that never saw the case's patient.

    Raises:
        BadCohort: every member may have seen the patient.
    """
    for member, patients in enumerate(held_out):
        if case.patient in patients:
            return member
    raise BadCohort(f"{case.name}: expected a patient that one of the {len(held_out)} members never saw")


def _score(
    case: LabelledCase, member: int, predict: PredictMember, settings: PreprocessingSettings, target: str
) -> MemberScore:
    truth = case.wmh if target == "wmh" else case.ventricles
    if truth is None:
        raise BadCase(f"{case.name}: expected ventricles.nii.gz to score ventricles by, found none")
    ready = preprocess(case.volume, settings)
    predicted = ready.grid.to_native(predict(member, ready.images)) >= _THRESHOLD
    voxel_ml = case.volume.voxel_volume_ml
    return MemberScore(
        case.name, member, dice(predicted, truth), float(truth.sum()) * voxel_ml, float(predicted.sum()) * voxel_ml
    )
