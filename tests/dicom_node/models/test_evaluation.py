"""The evaluation that is registered with a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.evaluations import made_up_evaluation

from dicom_node.models.evaluation import mean_dsc, read_evaluation
from dicom_node.node.errors import ModelError
from segmentation.bundle import ModelIdentity
from training.errors import BadEvaluation


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """evaluation.json of a made-up model."""
    path = tmp_path / "evaluation.json"
    path.write_text(made_up_evaluation(count=12).to_json())
    return path


def test_read(file: Path) -> None:
    """The document is kept as it is, and its mean DSC is that of its cases."""
    model = made_up_evaluation(count=12).model
    plain = read_evaluation(file, ModelIdentity(model.name, model.version, model.digest))
    assert plain == json.loads(file.read_text())
    dsc = mean_dsc(plain)
    assert dsc is not None
    assert dsc.cases == 12
    assert dsc.mean == pytest.approx(sum(case["dsc"] for case in plain["cases"]) / 12)


def test_of_another_model(file: Path) -> None:
    """The evaluation of another model is not taken for this one's."""
    with pytest.raises(ModelError, match=r"expected tiny 1\.0\.0, digest ffffffffffff; got"):
        read_evaluation(file, ModelIdentity("tiny", "1.0.0", "f" * 64))


def test_no_evaluation(tmp_path: Path) -> None:
    """Another JSON file is refused as no evaluation."""
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(BadEvaluation, match=r"evaluation\.json"):
        read_evaluation(other, ModelIdentity("tiny", "1.0.0", "f" * 64))


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ([{"dsc": 0.9, "seen_in_training": False}], "0.900 (1 cases)"),
        ([{"dsc": 0.9, "seen_in_training": True}], "0.900 (1 cases, 1 of its training patients: too good)"),
        ([{"dsc": 0.9, "seen_in_training": True, "judged_by": "2 4"}], "0.900 (1 cases)"),
        ([{"dsc": 0.9, "seen_in_training": None}], "0.900 (1 cases, its training patients are not stated)"),
        ([{"dsc": 0.9}], "0.900 (1 cases, its training patients are not stated)"),
        (
            [{"dsc": 0.8, "seen_in_training": True}, {"dsc": 0.6, "seen_in_training": False}],
            "0.700 (2 cases, 1 of its training patients: too good)",
        ),
    ],
)
def test_patients_that_the_model_knows(cases: list[dict[str, object]], words: str) -> None:
    """A mean over patients that the model was trained on, or may have been, says so; scored only by members that never
    saw them, they are as good as new ones."""
    assert str(mean_dsc({"cases": cases})) == words


@pytest.mark.parametrize("evaluation", [None, {}, {"cases": []}, {"cases": [{"case": "a"}]}, {"cases": ["a"]}])
def test_no_figure(evaluation: object) -> None:
    """A document without any DSC gives no figure, whatever its version."""
    assert mean_dsc(evaluation) is None
