"""Splits by patient, and what each member sees."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.labelled_cases import labelled_case

from training.data.cases import LabelledCase
from training.data.cohort import Split
from training.data.splits import member_parts, split_counts, with_splits
from training.errors import BadCohort


def _cohort(patients: int, scans: int = 1) -> list[LabelledCase]:
    return [
        labelled_case(f"p{patient:02d}-{scan}", f"p{patient:02d}", lesion=1 + patient % 16)
        for patient in range(patients)
        for scan in range(scans)
    ]


@pytest.mark.parametrize(
    ("patients", "expected"),
    [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (10, (6, 2, 2)), (12, (8, 2, 2))],
)
def test_blank_cells_are_drawn_six_two_two(patients: int, expected: tuple[int, int, int]) -> None:
    """By patient, whatever his number of scans."""
    counts = split_counts(with_splits(_cohort(patients, scans=2), seed=3))
    assert tuple(counts.get(part, 0) for part in ("train", "validation", "test")) == expected


def test_no_patient_is_on_two_sides() -> None:
    """All scans of a patient are on one side, and a blank scan follows the one whose cell is filled."""
    cases = _cohort(9, scans=3)
    cases[1] = replace(cases[1], split="external")
    parted = with_splits(cases, seed=1)
    sides = {case.patient: {other.split for other in parted if other.patient == case.patient} for case in parted}
    assert all(len(side) == 1 for side in sides.values())
    assert sides["p00"] == {"external"}


def test_parts_are_alike_in_volume() -> None:
    """Of every five neighbours in WMH volume three train, one validates, one tests."""
    cases = with_splits(_cohort(15), seed=8)
    ordered = sorted(cases, key=lambda case: case.wmh_ml)
    for start in (0, 5, 10):
        assert split_counts(ordered[start : start + 5]) == {"train": 3, "validation": 1, "test": 1}


def test_the_seed_decides() -> None:
    """The same seed parts alike, another one otherwise."""
    cases = _cohort(20)
    assert with_splits(cases, 5) == with_splits(cases, 5)
    assert [case.split for case in with_splits(cases, 5)] != [case.split for case in with_splits(cases, 6)]


def test_no_patient_to_train_on() -> None:
    """A cohort of external patients alone is an error."""
    with pytest.raises(BadCohort, match="at least one patient with split train"):
        with_splits([replace(case, split="external") for case in _cohort(3)], 1)


def _train(cases: list[LabelledCase]) -> list[LabelledCase]:
    part: Split = "train"
    return [replace(case, split=part) for case in cases]


@pytest.mark.parametrize(("patients", "left_out"), [(1, 0), (4, 0), (5, 1), (9, 1), (14, 1), (15, 2), (60, 6)])
def test_members_see_nine_tenths_of_the_patients(patients: int, left_out: int) -> None:
    """Each member leaves a tenth out, by patient; below five patients none."""
    for part in member_parts(_train(_cohort(patients, scans=2)), 5, "subsets", seed=2):
        assert len(part.held_out) == left_out
        assert sorted((*part.seen, *part.held_out)) == [f"p{index:02d}" for index in range(patients)]


@pytest.mark.parametrize("patients", [5, 10, 20, 60])
def test_members_see_different_subsets(patients: int) -> None:
    """The paper's five members have five training sets."""
    parts = member_parts(_train(_cohort(patients)), 5, "subsets", seed=2)
    assert len({part.seen for part in parts}) == 5
    assert parts == member_parts(_train(_cohort(patients)), 5, "subsets", seed=2)


def test_other_parts_are_never_trained_on() -> None:
    """Neither scheme shows a member a patient who validates, tests or is external."""
    cases = with_splits(_cohort(20), 4)
    train = {case.patient for case in cases if case.split == "train"}
    for scheme in ("subsets", "folds"):
        for part in member_parts(cases, 5, scheme, seed=4):
            assert {*part.seen, *part.held_out} == train


def test_folds_hold_every_patient_out_once() -> None:
    """Blank cells all train then, and each patient is held out by exactly one member."""
    cases = with_splits(_cohort(11), 4, "folds")
    held_out = [patient for part in member_parts(cases, 5, "folds", seed=4) for patient in part.held_out]
    assert sorted(held_out) == sorted({case.patient for case in cases})


def test_too_few_for_the_members() -> None:
    """No members, one fold, or fewer patients than folds are errors."""
    for members, scheme in ((0, "subsets"), (1, "folds"), (5, "folds")):
        with pytest.raises(BadCohort, match="at least"):
            member_parts(_train(_cohort(3)), members, scheme, seed=1)
