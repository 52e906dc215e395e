"""A plan is whole before an epoch is spent: labels, lesions, patients, and what decides the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.labelled_cases import labelled_case
from support.training_runs import tiny_recipe

from training.data.cases import LabelledCase
from training.errors import BadCase, BadCohort, BadRecipe
from training.fit.plan import cohort_summary, make_plan


def _cohort(patients: int = 6) -> list[LabelledCase]:
    return [labelled_case(f"p{index}", lesion=1 + index, seed=index) for index in range(patients)]


def _without_lesions(case: LabelledCase) -> LabelledCase:
    return replace(case, wmh=np.zeros_like(case.wmh))


def test_a_case_without_lesions_is_counted() -> None:
    """It is a good case, in training and in the summary."""
    cases = [replace(case, split="train") for case in _cohort()]
    plan = make_plan([_without_lesions(cases[0]), *cases[1:]], (), tiny_recipe())
    assert cohort_summary(plan)["cases_without_lesions"] == 1
    assert any(not case.wmh.any() for member in range(5) for case in plan.seen_by(member))


def test_nothing_to_learn() -> None:
    """No lesion in the training part, or in what one member sees of it, is an error."""
    train = [replace(_without_lesions(case), split="train") for case in _cohort()]
    with pytest.raises(BadCohort, match="no wmh voxel is marked in any of the 6 training cases"):
        make_plan(train, (), tiny_recipe())
    only_one = [replace(_cohort()[0], split="train"), *train[1:]]
    with pytest.raises(BadCohort, match=r"member . would see no wmh voxel"):
        make_plan(only_one, (), tiny_recipe(), members=6, scheme="folds")


def test_ventricles_need_their_mask() -> None:
    """A training case without it is named; other parts of the split need none."""
    cases = [replace(case, split="train") for case in _cohort()]
    recipe = tiny_recipe(target="ventricles")
    bare = replace(cases[2], ventricles=None)
    with pytest.raises(BadCase, match=r"p2: expected ventricles.nii.gz"):
        make_plan([*cases[:2], bare, *cases[3:]], (), recipe)
    make_plan([*cases[:2], replace(bare, split="external"), *cases[3:]], (), recipe)


def test_ventricles_decide_where_their_rims_are_ignored() -> None:
    """A run that ignores rims is another one once the ventricles are drawn otherwise; one that does not stays."""
    cases = [replace(case, split="train") for case in _cohort()]
    others = [replace(cases[0], ventricles=~cases[0].wmh), *cases[1:]]
    for rim, is_same in ((0.0, True), (5.0, False)):
        before, after = (make_plan(found, (), tiny_recipe(ignored_rim_mm=rim)).inputs() for found in (cases, others))
        assert (before == after) is is_same


def test_one_image_under_two_patients() -> None:
    """A copied scan would be on both sides of a split: both cases are named."""
    cases = _cohort()
    cases.append(replace(cases[1], name="copy", patient="somebody"))
    with pytest.raises(BadCohort, match="cases p1 and copy hold the same image"):
        make_plan(cases, (), tiny_recipe())


def test_drawn_scans_must_be_used() -> None:
    """Synthetic scans that the recipe would leave aside are an error, not silently lost."""
    with pytest.raises(BadRecipe, match="synthetic_share is 0"):
        make_plan(_cohort(), [labelled_case("drawn", seed=9)], tiny_recipe())


def test_number_of_members() -> None:
    """None, and more than a bundle can hold, are refused."""
    for members in (0, 65):
        with pytest.raises(BadRecipe, match="expected 1 to 64"):
            make_plan(_cohort(), (), tiny_recipe(), members=members)


def test_validation_never_shows_what_was_trained_on() -> None:
    """The validation part, else the member's own left-out patients; and the manifest's lists agree."""
    for scheme in ("subsets", "folds"):
        plan = make_plan(_cohort(20), (), tiny_recipe(), scheme=scheme)
        for member in range(5):
            seen = {case.patient for case in plan.seen_by(member)}
            scored = {case.patient for case in plan.validation_of(member)}
            assert scored
            assert not seen & scored
            assert set(plan.never_seen_by(member)) == set(plan.patients()) - seen


def test_inputs_stand_for_all_that_decides_the_weights() -> None:
    """A voxel, a label, a patient, the seed, the recipe: each changes them; the test part does not."""
    cases = [replace(case, split="train") for case in _cohort()]
    base = make_plan(cases, (), tiny_recipe()).inputs()
    assert make_plan(cases, (), tiny_recipe()).inputs() == base
    voxels = cases[0].volume.voxels.copy()
    voxels[0, 0, 0] += 1
    brighter = replace(cases[0], volume=replace(cases[0].volume, stored=voxels))
    label = cases[0].wmh.copy()
    label[0, 0, 0] = True
    for changed in (brighter, replace(cases[0], wmh=label), replace(cases[0], patient="other")):
        assert make_plan([changed, *cases[1:]], (), tiny_recipe()).inputs() != base
    assert make_plan(cases, (), tiny_recipe(), seed=5).inputs() != base
    assert make_plan(cases, (), tiny_recipe(learning_rate=0.1)).inputs() != base
    tested = [*cases, replace(labelled_case("t", seed=50), split="test")]
    assert make_plan(tested, (), tiny_recipe()).inputs() == base
