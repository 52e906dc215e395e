"""The paper's Table."""

from __future__ import annotations

from support.evaluations import made_up_records

from training.evaluate.baseline import baseline_table
from training.evaluate.document import CaseRecord


def _record(index: int, split: str, **clinical: float | str) -> CaseRecord:
    columns = {
        "case": str(index),
        "patient": str(index),
        "split": split,
        "clinical": clinical,
        "manual_ml": index + 1.0,
    }
    return made_up_records(1)[0].model_copy(update={**columns, "site": "A"})


def test_cells_by_hand() -> None:
    """Means with SD, medians with quartiles, counts with percent, each with the test that the paper uses."""
    ages = (60.0, 70.0, 80.0, 50.0, 55.0, 60.0)
    records = [
        _record(i, "train" if i < 3 else "external", age=age, smoker=float(i % 2), sex="f" if i < 2 else "m")
        for i, age in enumerate(ages)
    ]
    table = baseline_table(records)
    assert table.columns == ("training, validation, and internal test", "external: A")
    assert table.counts == (3, 3)
    rows = {row.label: row for row in table.rows}
    assert rows["age"].cells == ("70.0 (10.0)", "55.0 (5.0)")
    assert rows["age"].test == "one-way ANOVA"
    assert rows["smoker"].cells == ("1 (33.3)", "2 (66.7)")
    assert rows["smoker"].test == "chi-square test"
    assert rows["sex: f"].cells == ("2 (66.7)", "0 (0.0)")
    assert rows["WMH volume (mL)"].cells == ("2.0 (1.5-2.5)", "5.0 (4.5-5.5)")
    assert rows["WMH volume (mL)"].test == "Kruskal-Wallis test"


def test_skewed_numbers_are_medians() -> None:
    """One very large value makes a column skewed: median (IQR) and Kruskal-Wallis."""
    records = [_record(i, "train" if i < 5 else "external", nihss=1000.0 if i == 9 else float(i)) for i in range(10)]
    row = next(row for row in baseline_table(records).rows if row.label == "nihss")
    assert row.form == "median (IQR)"
    assert row.test == "Kruskal-Wallis test"


def test_unknown_cells_and_no_columns() -> None:
    """Cells that are not filled do not count; a cohort without clinical columns has its volumes, and a note."""
    records = [_record(0, "train", age=60.0), _record(1, "train"), _record(2, "external", age=70.0)]
    row = next(row for row in baseline_table(records).rows if row.label == "age")
    assert row.cells == ("60.0", "70.0")
    assert row.p is None
    assert row.note
    table = baseline_table([_record(0, "")])
    assert table.columns == ("all",)
    assert "no clinical column" in table.note


def test_a_name_is_no_category() -> None:
    """A column of many different words (an identifier) is not printed value by value."""
    records = [_record(i, "train", code=f"x{i}") for i in range(20)]
    row = next(row for row in baseline_table(records).rows if row.label == "code")
    assert row.cells == ("",)
    assert "20 different values" in row.note


def test_a_patient_with_two_scans_counts_once() -> None:
    """By the first scan; of a clinical column by the first that has a value; the note says so. n is of patients."""
    first = _record(0, "train", age=60.0).model_copy(update={"patient": "p"})
    again = _record(1, "train", age=62.0, sex="f").model_copy(update={"patient": "p"})
    other = _record(2, "train", age=70.0, sex="m")
    table = baseline_table([first, again, other])
    rows = {row.label: row for row in table.rows}
    assert table.counts == (2,)
    assert rows["age"].cells == ("65.0 (7.1)",)
    assert rows["sex: f"].cells == ("1 (50.0)",)
    assert rows["WMH volume (mL)"].cells == ("2.0 (1.5-2.5)",)
    assert "a patient counts once: 1 patient has several scans, of which the first counts" in table.note
    assert baseline_table([first, other]).note == ""
