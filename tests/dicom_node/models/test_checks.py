"""The model checks, with real bundles and drawn heads as cases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.drawn_cases import cases_drawn_by

from dicom_node.models.checks import DSC, GOLDEN, GOLDEN_CASES, LOADS, CheckState, ModelVerdict, check_model
from dicom_node.models.choice import ModelChoice, Origin
from training.data.cases import LabelledCase, load_cases

pytestmark = pytest.mark.slow

PASSED, FAILED, NOT_MADE = CheckState.PASSED, CheckState.FAILED, CheckState.NOT_MADE


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, bundles: dict[str, Path]) -> tuple[LabelledCase, ...]:
    """Two small heads on which `a` does well."""
    return load_cases(cases_drawn_by(bundles["a"], tmp_path_factory.mktemp("cases")))


def _check(candidate: Path, live: Path, cases: Any = (), margin: float = 0.02) -> ModelVerdict:
    choices = [ModelChoice(Origin.PINNED, folder) for folder in (candidate, live)]
    return check_model(*choices, "openvino", cases, margin, lambda *_: None)


def _states(verdict: ModelVerdict) -> dict[str, CheckState]:
    return {check.name: check.state for check in verdict.checks}


def _rewrite(bundle: Path, name: str, content: bytes) -> None:
    """Replace a file of a bundle, and its entry in the manifest: whole again, and another model."""
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_a_model_passes_against_itself(bundles: dict[str, Path], cases: tuple[LabelledCase, ...]) -> None:
    """A whole model passes every check against itself, with no margin at all; both DSC are listed for each case."""
    verdict = _check(bundles["a"], bundles["a"], cases, margin=0.0)
    assert _states(verdict) == {LOADS: PASSED, GOLDEN: PASSED, GOLDEN_CASES: PASSED, DSC: PASSED}
    assert verdict.passed
    assert [case.case for case in verdict.cases] == ["head-1", "head-2"]
    assert all(case.dsc == case.live_dsc > 0.5 for case in verdict.cases)
    assert json.loads(json.dumps(verdict.plain()))["cases"][0]["case"] == "head-1"


@pytest.mark.slow
def test_a_worse_model_fails(bundles: dict[str, Path], cases: tuple[LabelledCase, ...]) -> None:
    """A model whose mean DSC lies below the live one's by more than the margin fails, and the words have both numbers;
    a margin that allows it lets it pass, and so does the better model in the place of the worse."""
    verdict = _check(bundles["wild"], bundles["a"], cases)
    (failed,) = verdict.failed
    live = np.mean([case.live_dsc for case in verdict.cases])
    found = np.mean([case.dsc for case in verdict.cases])
    assert failed.name == DSC
    assert verdict.can_be_overruled
    assert f"at least {live - 0.02:.3f} (live model {live:.3f} - 0.02); got {found:.3f}" in str(failed)
    assert _check(bundles["wild"], bundles["a"], cases, margin=1.0).passed
    assert _check(bundles["a"], bundles["wild"], cases).passed


def test_patients_that_a_model_knows_are_reported(
    bundles: dict[str, Path], copy_of: Callable[[str], Path], cases: tuple[LabelledCase, ...]
) -> None:
    """A DSC on patients that a model was trained on is no reason to trust it: the check says which each knows."""
    known = copy_of("a")
    manifest = json.loads((known / "manifest.json").read_text())
    manifest["training"]["patients"] = ["head-1"]
    (known / "manifest.json").write_text(json.dumps(manifest))
    came = _check(known, bundles["a"], cases).checks[-1].came
    assert "this model was trained on the patients of 1 of 2 cases" in came
    assert "the live model does not say which patients it was trained on" in came


def test_without_cases(bundles: dict[str, Path]) -> None:
    """Without cases the DSC is not measured, which fails: a person may overrule it, with a reason."""
    verdict = _check(bundles["wild"], bundles["a"])
    assert _states(verdict) == {LOADS: PASSED, GOLDEN: PASSED, GOLDEN_CASES: NOT_MADE, DSC: FAILED}
    assert not verdict.passed
    assert verdict.can_be_overruled
    assert "--cases" in verdict.checks[-1].came


def test_a_model_that_finds_nothing_fails_the_golden_cases(
    bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch, cases: tuple[LabelledCase, ...]
) -> None:
    """Of the drawn head's lesions, which are known, a model has to find not much less than the live one does."""
    scores = iter([0.7, 0.49])
    monkeypatch.setattr("dicom_node.models.checks.dice", lambda *_: next(scores, 0.9))
    verdict = _check(bundles["a"], bundles["a"], cases)
    assert _states(verdict)[GOLDEN_CASES] is FAILED
    assert "at least 0.500 on the drawn head" in str(verdict.failed[0])


def test_other_golden_predictions(bundles: dict[str, Path], copy_of: Callable[[str], Path]) -> None:
    """A bundle whose weights do not say what its golden predictions hold fails that check."""
    foreign = copy_of("a")
    _rewrite(foreign, "member-1.npz", (bundles["wild"] / "member-1.npz").read_bytes())
    verdict = _check(foreign, bundles["a"])
    failed = verdict.failed[0]
    assert failed.name == GOLDEN
    assert "got a difference of at most" in str(failed)


def test_no_golden_predictions(bundles: dict[str, Path], copy_of: Callable[[str], Path]) -> None:
    """A bundle without golden predictions cannot be held to them, which fails the check, with what to do."""
    bare = copy_of("a")
    manifest = json.loads((bare / "manifest.json").read_text())
    del manifest["files"]["golden.npz"], manifest["golden"]
    (bare / "manifest.json").write_text(json.dumps(manifest))
    failed = _check(bare, bundles["a"]).failed[0]
    assert failed.name == GOLDEN
    assert "write it again" in failed.came


def test_does_not_load(
    bundles: dict[str, Path], copy_of: Callable[[str], Path], cases: tuple[LabelledCase, ...]
) -> None:
    """A damaged bundle fails the first check, which cannot be overruled, and the others are named as not made; beside a
    damaged live model the comparison fails, since nothing can be compared, and that can be overruled."""
    damaged = copy_of("b")
    (damaged / "graph.json").write_bytes(b"{}")
    verdict = _check(damaged, bundles["a"], cases)
    assert _states(verdict) == {LOADS: FAILED, GOLDEN: NOT_MADE, GOLDEN_CASES: NOT_MADE, DSC: NOT_MADE}
    assert "graph.json" in verdict.failed[0].came
    assert not verdict.can_be_overruled
    beside = _check(bundles["a"], damaged, cases)
    assert _states(beside) == {LOADS: PASSED, GOLDEN: PASSED, GOLDEN_CASES: NOT_MADE, DSC: FAILED}
    assert "graph.json" in beside.failed[0].came
    assert beside.can_be_overruled
