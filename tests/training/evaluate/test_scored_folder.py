"""An evaluation goes on where it was, in any number of parts, and says the same as one that was never ended."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case
from support.models import tiny_model
from support.small_disk import files_that_stay_small

from segmentation.ensemble import Ensemble, open_ensemble
from training.data.cases import LabelledCase
from training.errors import BadCohort, NotSaved
from training.evaluate.document import Evaluation, EvaluationSettings
from training.evaluate.gallery import Gallery
from training.evaluate.run import EvaluationRequest, evaluate_cases, score_shard
from training.evaluate.scored_folder import ScoredFolder, Shard

REQUEST = EvaluationRequest(settings=EvaluationSettings(shown_cases=2), evaluated_at=datetime(2024, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """Two tiny members for 32 x 32 slices."""
    return open_ensemble(tiny_model(tmp_path_factory.mktemp("model"), size=32))


@pytest.fixture(scope="module")
def cases() -> list[LabelledCase]:
    """Five patients; the last one has a second rater."""
    made = [labelled_case(f"c{index}", lesion=4 + index, seed=index) for index in range(5)]
    made[4] = replace(made[4], raters={"other": np.roll(made[4].wmh, 1, axis=2)})
    return made


def _timeless(evaluation: Evaluation) -> Evaluation:
    records = tuple(record.model_copy(update={"seconds": 0.0}) for record in evaluation.cases)
    kept = tuple(item for item in evaluation.statistics if "seconds" not in item.name)
    return evaluation.model_copy(update={"cases": records, "statistics": kept})


def test_parts_add_up(ensemble: Ensemble, cases: list[LabelledCase], tmp_path: Path) -> None:
    """Two parts scored apart and summed up are the evaluation in one go, pictures too."""
    kept, whole, parted = ScoredFolder(tmp_path), Gallery(2), Gallery(2)
    wanted = evaluate_cases(cases, ensemble, request=REQUEST, gallery=whole)
    assert [score_shard(cases, ensemble, Shard(part, 2), kept, request=REQUEST) for part in (1, 2)] == [3, 2]
    found = evaluate_cases(cases, ensemble, request=REQUEST, gallery=parted, kept=kept)
    assert _timeless(found) == _timeless(wanted)
    assert [shown.case for shown in parted.shown] == [shown.case for shown in whole.shown]
    np.testing.assert_array_equal(parted.shown[0].predicted, whole.shown[0].predicted)


def test_only_what_is_missing_is_scored(
    ensemble: Ensemble, cases: list[LabelledCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call scores a lost, a damaged and a changed case, and no other."""
    kept = ScoredFolder(tmp_path)
    evaluate_cases(cases, ensemble, request=REQUEST, kept=kept)
    (tmp_path / "c0.json").unlink()
    (tmp_path / "c1.json").write_text("{")
    changed = [*cases[:2], replace(cases[2], site="elsewhere"), *cases[3:]]
    scored: list[str] = []
    write = kept.write
    monkeypatch.setattr(kept, "write", lambda found, asked: (scored.append(found.record.case), write(found, asked)))
    evaluate_cases(changed, ensemble, request=REQUEST, kept=kept)
    assert scored == ["c0", "c1", "c2"]
    other = replace(REQUEST, settings=EvaluationSettings(shown_cases=2, distance_rule="3d"))
    scored.clear()
    evaluate_cases(changed, ensemble, request=other, kept=kept)
    assert len(scored) == 5
    scored.clear()
    monkeypatch.setattr("training.evaluate.run.version", lambda _: "9.9")
    evaluate_cases(changed, ensemble, request=other, kept=kept)
    assert len(scored) == 5


def test_a_full_disk_keeps_what_is_scored(ensemble: Ensemble, cases: list[LabelledCase], tmp_path: Path) -> None:
    """The error names the case and the next step, and the score before it is still there."""
    kept = ScoredFolder(tmp_path)
    score_shard(cases[:1], ensemble, Shard(1, 1), kept, request=REQUEST)
    before = (tmp_path / "c0.json").read_bytes()
    with (
        files_that_stay_small(os.getpid(), 100),
        pytest.raises(NotSaved, match=r"score of c1 could not be written \(.* same command again"),
    ):
        evaluate_cases(cases, ensemble, request=REQUEST, kept=kept)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"c0.json": before}


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_part_that_is_none(text: str) -> None:
    """What was expected is in the error."""
    with pytest.raises(BadCohort, match=r"--shard: expected a part 1/N to N/N"):
        Shard.of_text(text)
