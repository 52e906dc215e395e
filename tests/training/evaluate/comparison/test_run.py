"""The run: contenders in turn on the same cases, and none scored on patients that it knows when that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.evaluations import MODEL
from support.labelled_cases import labelled_case
from support.models import tiny_model

from segmentation.bundle import ModelBundle
from training.errors import BadCohort
from training.evaluate.comparison.contender import Candidate, baseline_candidate, bundle_candidate
from training.evaluate.comparison.document import Comparison, Contender
from training.evaluate.comparison.run import compare_candidates

CASES = [labelled_case(name, lesion=5, seed=seed) for seed, name in enumerate("abc")]
Told = Callable[..., ModelBundle]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A bundle that names its training patients, and those that each member never saw."""
    bundle = tiny_model(tmp_path_factory.mktemp("model"))

    def say(patients: tuple[str, ...], held_out: tuple[tuple[str, ...], ...]) -> ModelBundle:
        training = bundle.manifest.training.model_copy(update={"patients": patients, "held_out": held_out})
        return replace(bundle, manifest=bundle.manifest.model_copy(update={"training": training}))

    return say


def test_baselines_beside_a_bundle(tmp_path: Path) -> None:
    """Two baselines in one table with the ensemble; progress names each, and networks open one after the other."""
    bundle = tiny_model(tmp_path)
    heard: list[str] = []
    candidates = [
        bundle_candidate(bundle, "openvino"),
        *(baseline_candidate(n, bundle, "openvino") for n in ("one-member", "threshold")),
    ]
    comparison, evaluations = compare_candidates(candidates, CASES, lambda label, *_: heard.append(label))
    assert [contender.model.members for contender in comparison.contenders] == [2, 1, 1]
    assert [contender.label for contender in comparison.contenders] == list(dict.fromkeys(heard))
    assert comparison.contenders[2].model.runtime == "numpy"
    assert len({contender.model.digest for contender in comparison.contenders}) == 3
    assert [[row.case for row in each.cases] for each in evaluations] == [["a", "b", "c"]] * 3
    assert "does not say on which patients" in comparison.contenders[0].note
    assert comparison.contenders[2].note == ""


def test_only_cases_that_all_may_be_scored_on(told: Told) -> None:
    """With unseen members only, a patient that every member of a contender knows is left out, by name."""
    knows_a = bundle_candidate(told(("a", "b"), (("b",), ())), "openvino")
    comparison, _ = compare_candidates(
        [knows_a, baseline_candidate("threshold", told((), ((), ())))], CASES, unseen_members=True
    )
    assert [case.case for case in comparison.cases] == ["b", "c"]
    assert any("Left out" in note and note.endswith(": a.") for note in comparison.notes)


def test_nothing_left_to_score(told: Told, tmp_path: Path) -> None:
    """No common case, or a bundle that names no patients: a clear error, before any network runs."""

    def refuse() -> Candidate:
        raise AssertionError("opened")

    knows_all = replace(bundle_candidate(told(("a", "b", "c"), ((), ()))), open=refuse)
    with pytest.raises(BadCohort, match="found none"):
        compare_candidates([knows_all, knows_all], CASES, unseen_members=True)
    blind = replace(bundle_candidate(tiny_model(tmp_path)), open=refuse)
    with pytest.raises(BadCohort, match="does not say which patients"):
        compare_candidates([blind, blind], CASES, unseen_members=True)
    with pytest.raises(BadCohort, match="at least 2"):
        compare_candidates([blind], CASES)


def test_more_contenders_than_letters_are_refused_before_any_runs(tmp_path: Path) -> None:
    """Those of an earlier comparison count, but for a model that is run again, and nothing is opened."""

    def refuse() -> Candidate:
        raise AssertionError("opened")

    one = replace(bundle_candidate(tiny_model(tmp_path)), open=refuse)
    others = [replace(one, digest=f"{place:064x}") for place in range(27)]
    with pytest.raises(BadCohort, match="at most 26 contenders, one a letter, got 27"):
        compare_candidates(others, CASES)
    known = Comparison.model_construct(
        contenders=[Contender(key="A", label="old", baseline=False, model=MODEL.model_copy(update={"digest": d}))
                    for d in (others[0].digest, "f" * 64)],
        notes=(),
        cases=(),
    )  # fmt: skip
    with pytest.raises(BadCohort, match="got 27, baselines and 1 of the earlier comparison counted"):
        compare_candidates(others[:26], CASES, earlier=known)
    with pytest.raises(BadCohort, match="expected the cases of the earlier comparison"):  # counted, and few enough
        compare_candidates(others[:25], CASES, earlier=known)


def test_a_candidate_has_the_digest_that_it_is_listed_by(tmp_path: Path) -> None:
    """What is counted before a run is what the document calls the model afterwards."""
    bundle = tiny_model(tmp_path)
    candidates = [bundle_candidate(bundle, "openvino"), baseline_candidate("threshold", bundle)]
    comparison, _ = compare_candidates(candidates, CASES)
    assert [candidate.digest for candidate in candidates] == [
        contender.model.digest for contender in comparison.contenders
    ]
