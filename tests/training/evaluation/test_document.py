"""The document as a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.evaluations import made_up_evaluation, made_up_records

from training.errors import BadEvaluation
from training.evaluation.document import Evaluation, Statistic
from training.evaluation.write import cases_csv, read_evaluation, write_evaluation


def test_there_and_back(tmp_path: Path) -> None:
    """What was written is read as an equal document, and the folder stands for its file."""
    evaluation = made_up_evaluation(12)
    write_evaluation(evaluation, tmp_path / "out")
    assert read_evaluation(tmp_path / "out") == evaluation
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cases.csv", "evaluation.json"]


def test_damage_is_named() -> None:
    """Not JSON, another schema, a value out of range, an unknown field: each error says where."""
    document = json.loads(made_up_evaluation(6).to_json())
    with pytest.raises(BadEvaluation, match="JSON"):
        Evaluation.from_json("{")
    with pytest.raises(BadEvaluation, match="schema 1, got 9"):
        Evaluation.from_json(json.dumps({**document, "schema_version": 9}))
    with pytest.raises(BadEvaluation, match=r"cases\.0\.dsc"):
        broken = [{**document["cases"][0], "dsc": 1.5}]
        Evaluation.from_json(json.dumps({**document, "cases": broken}))
    with pytest.raises(BadEvaluation, match="surprise"):
        Evaluation.from_json(json.dumps({**document, "surprise": 1}))


def test_no_nan_and_no_number_without_words() -> None:
    """NaN is refused at construction, and so is a missing value that nothing explains."""
    with pytest.raises(ValidationError, match="finite"):
        Statistic(name="x", title="x", group="all", n=1, value=float("nan"))
    with pytest.raises(ValidationError, match="note"):
        Statistic(name="x", title="x", group="all", n=1)


def test_a_case_stands_once() -> None:
    """Two rows of one case would count it twice."""
    document = json.loads(made_up_evaluation(6).to_json())
    with pytest.raises(BadEvaluation, match="every case once"):
        Evaluation.from_json(json.dumps({**document, "cases": [document["cases"][0]] * 2}))


def test_csv_has_a_row_a_case_and_no_formula() -> None:
    """Undefined cells are empty, clinical columns follow, and no text can run as a spreadsheet formula."""
    first, second = made_up_records(2)
    first = first.model_copy(update={"hd_mm": None, "clinical": {"note": "=1+1", "dsc": 3.0}})
    rows = list(csv.DictReader(io.StringIO(cases_csv((first, second)), newline="")))
    assert [row["case"] for row in rows] == [first.case, second.case]
    assert rows[0]["hd_mm"] == ""
    assert rows[0]["note"] == "'=1+1"
    assert float(rows[0]["dsc"]) == first.dsc
    assert rows[0]["clinical.dsc"] == "3.0"
    assert rows[1]["age"] == str(second.clinical["age"])
