"""patients.csv: columns, types, and patients on one side."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.cohort import read_patients
from training.errors import BadCohort


def _table(folder: Path, text: str) -> Path:
    path = folder / "patients.csv"
    path.write_bytes(text.encode("utf-8-sig"))
    return path


def test_clinical_columns_keep_their_type(tmp_path: Path) -> None:
    """A column of numbers gives numbers, a mixed one text, and unknown cells are left out."""
    rows = read_patients(
        _table(
            tmp_path,
            "case,patient,site,split,age,sex,grade\na1,a,Ulm,train,70,F,2\na2,a,Ulm,,NA,F,2\nb,b,,TEST,81.5,,low\n",
        )
    )
    assert rows["a1"].clinical == {"age": 70.0, "sex": "F", "grade": "2"}
    assert rows["a2"].clinical == {"sex": "F", "grade": "2"}
    assert (rows["b"].patient, rows["b"].site, rows["b"].split) == ("b", "", "test")
    assert rows["b"].clinical == {"age": 81.5, "grade": "low"}


def test_a_case_is_named_for_its_patient_by_default(tmp_path: Path) -> None:
    """Without the column `case` each row is the case folder of the patient's name."""
    assert list(read_patients(_table(tmp_path, "patient,site,split\np1,,\np2,,\n"))) == ["p1", "p2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,site\np,\n", r"missing column split.*cells of site and split may be blank.*got patient, site"),
        ("", r"missing column patient, site, split"),
        ("patient;site;split\np;;\n", r"missing column patient"),
        ("patient,site,split\np,,training\n", r"line 2: case p: expected split train, .*got 'training'"),
        ("case,patient,site,split\nc1,,,\n", r"line 2: the patient of case c1 is blank"),
        ("patient,site,split\np,,\np,,\n", r"line 3: case p is listed twice"),
        ("patient,site,split,age,age\np,,,1,2\n", r"every column once"),
        ("patient,site,split\np,,,9\n", r"line 2: expected 3 cells, got 4"),
        (
            "case,patient,site,split\nc1,p,,train\nc2,p,,test\n",
            r"patient p is on two sides.*c1 in train, case c2 in test",
        ),
    ],
)
def test_a_broken_table_is_reported_in_words(tmp_path: Path, text: str, words: str) -> None:
    """Every fault of the table is an error that names the line, the case or the column."""
    with pytest.raises(BadCohort, match=words):
        read_patients(_table(tmp_path, text))


def test_not_a_text_file(tmp_path: Path) -> None:
    """A spreadsheet saved as .csv is an error, not a traceback."""
    path = tmp_path / "patients.csv"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00\xd8")
    with pytest.raises(BadCohort, match="UTF-8"):
        read_patients(path)
