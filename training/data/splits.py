"""Splits by patient: train, validation and test 60/20/20, and what each member of an ensemble sees (paper, "Data
sets").

Nothing here parts the scans of one patient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final, Literal, TypeVar, cast

import numpy as np

from training.data.cases import Case
from training.data.cohort import Split
from training.data.folds import leave_patients_out
from training.errors import BadCohort

C = TypeVar("C", bound=Case)
Scheme = Literal["subsets", "folds"]

MEMBERS: Final = 5
# Six, two and two of ten; the order in which a remainder below five is dealt keeps train first.
_DECK: Final[tuple[Split, ...]] = ("train", "train", "train", "validation", "test")
_REMAINDERS: Final[dict[int, tuple[Split, ...]]] = {
    0: (),
    1: ("train",),
    2: ("train", "train"),
    3: ("train", "validation", "test"),
    4: ("train", "train", "validation", "test"),
}
_LEFT_OUT: Final = 0.1
_FEWEST_TO_LEAVE_OUT: Final = 5


@dataclass(frozen=True)
class MemberPart:
    """What one member is trained with.

    Attributes:
        seen: patients that it sees, sorted.
        held_out: patients of the training part that it never sees, sorted.
    """

    seen: tuple[str, ...]
    held_out: tuple[str, ...]


def with_splits(cases: Sequence[C], seed: int, scheme: Scheme = "subsets") -> tuple[C, ...]:
    """The cases, each with its part of the split.

    A patient with any filled cell has all cases there. The others are split 60/20/20 by patient, alike in WMH volume:
    sorted by volume and dealt in groups of five (three, one, one), a last group below five as 1 train; 2 train;
    1 + 1 + 1; 2 + 1 + 1. With the scheme `folds` they are all training patients, since every one is held out by a fold.

    Raises:
        BadCohort: no patient is left to train on.
    """
    given = {case.patient: case.split for case in cases if case.split}
    blank = _by_volume(case for case in cases if case.patient not in given)
    if scheme == "folds":
        drawn: dict[str, Split] = dict.fromkeys(blank, "train")
    else:
        drawn = _deal(blank, np.random.default_rng((seed, 622)))
    parts = given | drawn
    if "train" not in parts.values():
        raise BadCohort("expected at least one patient with split train (or blank), got none")
    return tuple(cast(C, replace(cast(Any, case), split=parts[case.patient])) for case in cases)


def member_parts(cases: Sequence[Case], members: int, scheme: Scheme, seed: int) -> tuple[MemberPart, ...]:
    """What each member sees of the training part.

    `subsets` (paper): each member sees another random 90 % of the patients, one tenth rounded, and at least one, being
    left out. Below five patients no patient is left out, and members differ by their seeds alone. Where there are fewer
    different subsets than members, they are used in turn.
    `folds`: each patient is held out by exactly one member (`training.data.folds`).

    Raises:
        BadCohort: no members, or fewer patients than folds.
    """
    if members < 1:
        raise BadCohort(f"expected at least one member, got {members}")
    train = [case for case in cases if case.split == "train"]
    patients = tuple(sorted({case.patient for case in train}))
    if scheme == "folds":
        if members < 2:
            raise BadCohort(f"expected at least 2 members for the scheme folds, got {members}")
        held_out = list(leave_patients_out(train, members, seed))
    else:
        held_out = _left_out(patients, members, np.random.default_rng((seed, 90)))
    return tuple(
        MemberPart(tuple(patient for patient in patients if patient not in out), tuple(sorted(out))) for out in held_out
    )


def split_counts(cases: Sequence[Case]) -> dict[str, int]:
    """Number of patients in each part of the split."""
    return dict(Counter({case.patient: case.split for case in cases}.values()))


def _by_volume(cases: Iterable[Case]) -> list[str]:
    volumes: dict[str, float] = {}
    for case in cases:
        volumes[case.patient] = max(volumes.get(case.patient, 0.0), case.wmh_ml)
    return sorted(volumes, key=lambda patient: (volumes[patient], patient))


def _deal(patients: Sequence[str], generator: np.random.Generator) -> dict[str, Split]:
    parts: dict[str, Split] = {}
    for start in range(0, len(patients), len(_DECK)):
        group = patients[start : start + len(_DECK)]
        deck = _DECK if len(group) == len(_DECK) else _REMAINDERS[len(group)]
        for place, patient in zip(generator.permutation(len(deck)), group, strict=True):
            parts[patient] = deck[place]
    return parts


def _left_out(patients: Sequence[str], members: int, generator: np.random.Generator) -> list[tuple[str, ...]]:
    count = max(1, round(_LEFT_OUT * len(patients))) if len(patients) >= _FEWEST_TO_LEAVE_OUT else 0
    # Up to 14 patients one is left out at most, and the list of all subsets is short; beyond, two draws seldom agree.
    if count <= 1:
        listed = list(combinations(patients, count))
        order = generator.permutation(len(listed))
        return [listed[order[member % len(listed)]] for member in range(members)]
    drawn: list[tuple[str, ...]] = []
    while len(drawn) < members:
        out = tuple(sorted(generator.choice(patients, count, replace=False).tolist()))
        if out not in drawn:
            drawn.append(out)
    return drawn
