"""Cases in, document out, with a real (tiny) ensemble."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.data import REPOSITORY
from support.labelled_cases import labelled_case
from support.models import tiny_model

from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.segment import segment_volume
from training.data.cases import LabelledCase
from training.dice import dice
from training.errors import BadCohort
from training.evaluate.document import Evaluation
from training.evaluate.gallery import Gallery
from training.evaluate.run import SOFTWARE, EvaluationRequest, evaluate_cases
from training.evaluate.seen import TrainingPatients

_PARTS = ("pv_{}_ml", "deep_{}_ml", "pv_{}_ml_7mm5", "deep_{}_ml_7mm5")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """Two tiny members for 32 x 32 slices, and a ventricle network that knows nothing."""
    return open_ensemble(tiny_model(tmp_path_factory.mktemp("model"), size=32, ventricles=True))


@pytest.fixture(scope="module")
def cases() -> list[LabelledCase]:
    """Six patients of two sites: three of train, two of test, one without any lesion."""
    made = [labelled_case(f"c{index}", lesion=4 + index, seed=index) for index in range(6)]
    made[5] = replace(made[5], wmh=np.zeros_like(made[5].wmh))
    splits = ("train", "train", "train", "test", "test", "test")
    return [
        replace(case, split=split, site="AB"[index % 2], clinical={"age": 60 + index})
        for index, (case, split) in enumerate(zip(made, splits, strict=True))
    ]


def test_the_report_names_software_that_is_installed_with_the_extra_train() -> None:
    """An evaluation does not end in a traceback because a package of the developers alone is not there."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    tools = project["optional-dependencies"]["training-tools"]
    assert set(SOFTWARE) <= {project["name"], *project["dependencies"], *tools}


def test_every_case_is_scored_on_its_own_grid(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """The DSC of each row is that of segmenting the case by itself; volumes, members and time are there."""
    heard: list[tuple[int, int, str]] = []
    found = evaluate_cases(cases, ensemble, lambda *told: heard.append(told))
    for case, record in zip(cases, found.cases, strict=True):
        alone = segment_volume(case.volume, ensemble)
        assert record.dsc == pytest.approx(dice(alone.mask, case.wmh))
        assert record.predicted_ml == pytest.approx(alone.measures.wmh_volume_ml)
        assert record.uncertainty_index == alone.measures.uncertainty_index
        assert record.member_dice is not None
        assert record.regions_by == "manual ventricles"
        assert record.seconds > 0
    assert heard[0] == (0, 6, "c0")
    assert heard[-1] == (6, 6, "")
    assert found.model.digest == ensemble.identity.digest
    assert Evaluation.from_json(found.to_json()) == found


def test_groups_and_what_is_drawn(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """Splits and sites are summed up apart; figures and pictures hold test patients, never training ones."""
    gallery = Gallery(2)
    found = evaluate_cases(cases, ensemble, gallery=gallery)
    assert {item.group for item in found.statistics} == {"all", "split:train", "split:test", "site:A", "site:B"}
    assert found.figure_group == "split:test"
    assert set(found.agreement.cases) == {"c3", "c4", "c5"}
    assert {shown.case for shown in gallery.shown} <= {"c3", "c4", "c5"}
    assert [shown.case for shown in gallery.shown] == [item.case for item in found.representatives]
    assert [shown.level for shown in gallery.shown] == ["low", "high"]
    assert gallery.shown[0].image.shape == (32, 32)


def test_a_case_without_lesions_follows_the_stated_rule(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """DSC 0 when something is predicted; no distance, no recall; it is counted and named."""
    found = evaluate_cases(cases[5:], ensemble)
    (record,) = found.cases
    assert record.dsc == 0
    assert record.predicted_ml > 0
    assert (record.hd_mm, record.hd95_mm, record.surface_dice, record.lesion_recall) == (None, None, None, None)
    assert found.cohort.without_lesions == ("c5",)
    assert any("without a manual lesion" in note for note in found.notes)


def test_one_part_of_the_split(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """`split` keeps its cases only; a part that has none is an error that names those there are."""
    found = evaluate_cases(cases, ensemble, request=EvaluationRequest(split="train"))
    assert found.cohort.splits == {"train": 3}
    with pytest.raises(BadCohort, match=r"external.*test, train"):
        evaluate_cases(cases, ensemble, request=EvaluationRequest(split="external"))
    with pytest.raises(BadCohort, match="no case at all"):
        evaluate_cases([], ensemble)


def test_patients_of_the_training_are_announced(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """Evaluated patients that the bundle names as its own are marked, and the first sentence says so."""
    known = TrainingPatients(frozenset({"c0", "c1"}))
    found = evaluate_cases(cases, ensemble, request=EvaluationRequest(known=known))
    assert found.cohort.seen_in_training == ("c0", "c1")
    assert found.cohort.note.startswith("2 of 6 cases are of patients on which the model was trained")
    assert [record.seen_in_training for record in found.cases] == [True, True, False, False, False, False]
    assert evaluate_cases(cases[2:], ensemble, request=EvaluationRequest(known=known)).cohort.note == ""
    assert "does not say" in evaluate_cases(cases[2:], ensemble).cohort.note


def test_unseen_members_score_alone(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """A training patient is scored by the member that never saw it, a new one by all; one that all saw is refused."""
    known = TrainingPatients(frozenset({"c0", "c1"}), (frozenset({"c0"}), frozenset()))
    request = EvaluationRequest(known=known, unseen_members=True)
    found = evaluate_cases([cases[0], cases[3]], ensemble, request=request)
    assert [record.judged_by for record in found.cases] == ["1", "1 2"]
    assert found.cases[0].member_dice is None  # one member has no pair
    assert found.cases[1].member_dice is not None
    assert "uncertainty index is that of these members, not the one that is served" in found.cohort.note
    with pytest.raises(BadCohort, match="c1: expected a member that never saw"):
        evaluate_cases([cases[1]], ensemble, request=request)
    with pytest.raises(BadCohort, match="names the patients"):
        evaluate_cases([cases[1]], ensemble, request=EvaluationRequest(unseen_members=True))


def test_review_is_counted_by_the_models_own_limit(cases: list[LabelledCase], tmp_path: Path) -> None:
    """The share that needs no review is that under the limit that is served, not under the paper's."""
    strict = open_ensemble(tiny_model(tmp_path, size=32))
    strict.review_above = 0.01
    found = evaluate_cases(cases[:4], strict)
    needs_none = sum(not segment_volume(case.volume, strict).measures.review_recommended for case in cases[:4])
    assert needs_none < 4
    assert (found.settings.review_above, found.triage.limit) == (0.01, 0.01)
    assert found.triage.percent_below == 25.0 * needs_none


def test_raters_and_predicted_ventricles(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """Second raters are compared; without manual ventricles the predicted ones divide, or nothing does."""
    rated = [replace(case, raters={"anna": case.wmh}, ventricles=None) for case in cases[:3]]
    found = evaluate_cases(rated, ensemble)
    assert found.inter_rater.mean_dsc == 1
    assert found.triage.inter_rater_measured
    for case, record in zip(rated, found.cases, strict=True):
        marked = segment_volume(case.volume, ensemble).ventricles
        assert marked is not None
        assert record.regions_by == ("predicted ventricles" if marked.any() else None)
        assert record.ventricle_dsc is None


def test_an_empty_ventricle_mask_counts_as_not_drawn(
    cases: list[LabelledCase], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Predicted ventricles then divide the WMH, the ventricles have no DSC, and the report says that the mask is empty;
    without predicted ones there are no regions, and the same is said."""
    empty = replace(cases[0], ventricles=np.zeros_like(cases[0].wmh))
    sees_tissue = tiny_model(tmp_path_factory.mktemp("model"), size=32, ventricles=True, ventricle_sd=0.0)
    found = evaluate_cases([empty, cases[1]], open_ensemble(sees_tissue))
    assert [record.regions_by for record in found.cases] == ["predicted ventricles", "manual ventricles"]
    assert [record.ventricle_dsc is None for record in found.cases] == [True, False]
    assert found.cases[0].manual_ventricles_ml == 0
    assert found.cases[1].manual_ventricles_ml == pytest.approx(3 * 36 * 0.005)
    assert [note for note in found.notes if note.startswith("1 case(s) whose ventricles.nii.gz is empty")]
    without = evaluate_cases([empty], open_ensemble(tiny_model(tmp_path_factory.mktemp("plain"), size=32)))
    assert (without.cases[0].regions_by, without.cases[0].ventricle_dsc) == (None, None)
    row = without.statistic("pv_dsc_mean")
    assert row is not None
    assert "that is not empty" in row.note
    assert any("predicted ventricles divide the WMH of 0 of them" in note for note in without.notes)


def test_scans_of_one_patient_are_reported(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """The statistics count scans: where a patient has two, the report says what that does to intervals and P values."""
    twice = [replace(cases[0], patient="p"), replace(cases[1], patient="p"), cases[2]]
    told = "3 cases are of 2 patients: tests and intervals treat scans as independent"
    assert [note for note in evaluate_cases(twice, ensemble).notes if note.startswith(told)]
    assert not [note for note in evaluate_cases(cases[:3], ensemble).notes if "independent" in note]


def test_regions_at_both_distances_add_up(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """Periventricular and deep volumes at 10 and at 7.5 mm are parts of one WMH volume, the nearer part no larger."""
    (record,) = evaluate_cases(cases[:1], ensemble).cases
    for which, whole in (("manual", record.manual_ml), ("predicted", record.predicted_ml)):
        parts = {name: getattr(record, name.format(which)) for name in _PARTS}
        assert parts["pv_{}_ml"] + parts["deep_{}_ml"] == pytest.approx(whole)
        assert parts["pv_{}_ml_7mm5"] + parts["deep_{}_ml_7mm5"] == pytest.approx(whole)
        assert parts["pv_{}_ml_7mm5"] <= parts["pv_{}_ml"]


def test_the_papers_network_is_that_of_the_bundle(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """A UNet is set beside the paper's UNet: 0.659 on the internal test part."""
    request = EvaluationRequest(architecture="2 x unet, published, width 0.125, recipe none")
    for asked, paper in ((request, 0.659), (EvaluationRequest(), 0.675)):
        row = evaluate_cases(cases[3:5], ensemble, request=asked).statistic("dsc_mean", "split:test")
        assert row is not None
        assert row.paper is not None
        assert row.paper.value == paper


def test_ventricles_that_the_network_knows_are_announced(ensemble: Ensemble, cases: list[LabelledCase]) -> None:
    """There is one ventricle network for all members: the first sentences and each number that rests on it say so,
    whichever members scored the WMH, and only for patients of the training."""
    known = TrainingPatients(frozenset({"c0", "c1"}), (frozenset({"c0"}), frozenset({"c1"})))
    three = [cases[0], cases[1], cases[3]]
    for unseen_members in (False, True):
        found = evaluate_cases(three, ensemble, request=EvaluationRequest(known=known, unseen_members=unseen_members))
        assert "ventricle network is one for all members" in found.cohort.note
        assert "the DSC of the ventricles says nothing about new patients" in found.cohort.note
        assert ("only by members that never saw" in found.cohort.note) == unseen_members
        row = found.statistic("ventricle_dsc_mean", "all")
        assert row is not None
        assert row.note == "the ventricle network counts as having seen the patients of 2 of 3 cases"
        for name in ("dsc_mean", "pv_dsc_mean"):  # WMH, and WMH divided by manual ventricles
            other = found.statistic(name, "all")
            assert other is not None
            assert "ventricle network" not in other.note
    new = evaluate_cases(cases[2:4], ensemble, request=EvaluationRequest(known=known, unseen_members=True))
    assert all("counts as having seen" not in item.note for item in new.statistics)
