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
from training.evaluate.document import Evaluation, PaperFigure, Statistic
from training.evaluate.write import cases_csv, read_evaluation, write_evaluation


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


def test_no_name_of_a_column_is_a_formula() -> None:
    """A clinical column is named by whoever wrote patients.csv: its name cannot run in a spreadsheet either."""
    (record,) = made_up_records(1)
    text = cases_csv((record.model_copy(update={"clinical": {"=HYPERLINK(1)": 1.0, "+x": "y"}}),))
    header = next(csv.reader(io.StringIO(text, newline="")))
    assert header[-2:] == ["'+x", "'=HYPERLINK(1)"]


def test_the_papers_numbers_keep_their_decimals() -> None:
    """As the paper prints them: 0.710 and 67.0, not 0.71 and 67."""
    interval = PaperFigure(value=0.71, ci_low=0.707, ci_high=0.714, where="Abstract")
    assert (interval.number, interval.text) == ("0.710", "0.710 (0.707-0.714)")
    assert PaperFigure(value=67.0, sd=9.6, where="Results").text == "67.0 (SD 9.6)"
    assert PaperFigure(value=86, where="Abstract").text == "86"


def test_documents_from_before_the_new_fields_are_read() -> None:
    """A column that older documents lack is undefined, not an error."""
    document = json.loads(made_up_evaluation(6).to_json())
    for case in document["cases"]:
        for name in [name for name in case if name.endswith("ml_7mm5") or name == "manual_ventricles_ml"]:
            del case[name]
    for statistic in document["statistics"]:
        if statistic["paper"]:
            del statistic["paper"]["is_unit_stated"]
    read = Evaluation.from_json(json.dumps(document))
    assert read.cases[0].pv_manual_ml_7mm5 is read.cases[0].manual_ventricles_ml is None
