"""The evaluation that is registered with a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.evaluations import made_up_evaluation

from dicom_node.errors import ModelError
from dicom_node.modelling.evaluation import mean_dsc, read_evaluation
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
    with pytest.raises(ModelError, match=r"expected tiny 1\.0\.0, digest ffffffffffff; came"):
        read_evaluation(file, ModelIdentity("tiny", "1.0.0", "f" * 64))


def test_no_evaluation(tmp_path: Path) -> None:
    """Another JSON file is refused as no evaluation."""
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(BadEvaluation, match=r"evaluation\.json"):
        read_evaluation(other, ModelIdentity("tiny", "1.0.0", "f" * 64))


@pytest.mark.parametrize("evaluation", [None, {}, {"cases": []}, {"cases": [{"case": "a"}]}, {"cases": ["a"]}])
def test_no_figure(evaluation: object) -> None:
    """A document without any DSC gives no figure, whatever its version."""
    assert mean_dsc(evaluation) is None
