"""Each case's score by the member that never saw its patient, kept as JSON in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.brain_surface import without_surface
from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.case_facts import Target
from training.data.cases import Case
from training.dice import dice
from training.errors import BadCohort
from training.json_document import Count, Fraction, FrozenRecord, JsonDocument, NotNegative

# Probabilities float32 (slice, row, column) of one member, counted from 0, for normalised slices of the same shape.
PredictMember = Callable[[int, NDArray[np.float32]], NDArray[Any]]
_THRESHOLD = 0.5


class MemberScore(FrozenRecord):
    """One case, scored with the member that never saw its patient; `member` counts from 0, volumes are in mL."""

    case: str
    member: Count
    dsc: Fraction
    manual_ml: NotNegative
    predicted_ml: NotNegative


class RunScores(JsonDocument):
    """Leave-patients-out scores of one run by folds.

    Attributes:
        recipe: the preset.
        cases: by name.
    """

    FILE_NAME: ClassVar[str] = "scores.json"

    recipe: str
    cases: tuple[MemberScore, ...]


def leave_out_scores(
    cases: Sequence[Case],
    held_out: Sequence[Sequence[str]],
    predict: PredictMember,
    settings: PreprocessingSettings,
    target: Target = "wmh",
) -> tuple[MemberScore, ...]:
    """Score every case on its native grid, at threshold 0.5.

    Args:
        cases: with the mask of `target`.
        held_out: per member, the patients that it was trained without.
        predict: the members.
        settings: their input contract.
        target: what they mark.

    Raises:
        BadCohort: a case whose patient no member was trained without.
        BadCase: a case without the mask of `target`.
    """
    return tuple(_score(case, unseen_member(case, held_out), predict, settings, target) for case in cases)


def unseen_member(case: Case, held_out: Sequence[Sequence[str]]) -> int:
    """The member that never saw the case's patient.

    Raises:
        BadCohort: every member may have seen the patient.
    """
    for member, patients in enumerate(held_out):
        if case.patient in patients:
            return member
    raise BadCohort(f"{case.name}: expected a patient that one of the {len(held_out)} members never saw")


def _score(
    case: Case, member: int, predict: PredictMember, settings: PreprocessingSettings, target: Target
) -> MemberScore:
    loaded = case.load()
    truth = loaded.label(target)
    ready = preprocess(loaded.volume, settings, loaded.brain)
    predicted = ready.grid.to_native(predict(member, ready.images)) >= _THRESHOLD
    if settings.scale == "brain-alone" and loaded.brain is not None:  # as `segment_volume` marks by this scale
        predicted &= without_surface(loaded.brain, loaded.volume.spacing_mm[1:])
    voxel_ml = loaded.volume.voxel_volume_ml
    return MemberScore(
        case=case.name,
        member=member,
        dsc=dice(predicted, truth),
        manual_ml=float(truth.sum()) * voxel_ml,
        predicted_ml=float(predicted.sum()) * voxel_ml,
    )
