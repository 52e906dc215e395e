"""Lists of many series: what they say of a result whose volume must not be used."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from dicom_node import ScanResult
from dicom_node.analyse.many.contact_sheet import contact_sheet
from dicom_node.analyse.many.table import results_csv
from dicom_node.cli.measures_table import many_table, measures_table
from segmentation.bundle import ModelIdentity

_MODEL = ModelIdentity("tiny", "1.0.0", "a" * 64)


def _result(**changes: Any) -> ScanResult:
    measured = {
        "wmh_volume_ml": 28.27, "volume_interval_ml": [21.3, 33.3], "lesion_count": 77, "uncertainty_index": 0.1,
        "periventricular_volume_ml": 19.57, "review_recommended": True, "reliability": "review", "reasons": [],
        "flags": [], **changes,
    }  # fmt: skip
    return ScanResult("s1", Path("in/s1"), None, "analysed", measured)


def _printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def _faces(result: ScanResult) -> dict[str, str]:
    measured = result.measurements or {}
    return {
        "csv": results_csv([result]).decode(),
        "sheet": contact_sheet([result], _MODEL).decode(),
        "rows": _printed(many_table([result])),
        "one": _printed(measures_table(measured)),
        "beside a truth": _printed(measures_table(measured, {"wmh_volume_ml": 5.0})),
    }


@pytest.mark.parametrize("face", ["csv", "sheet", "rows", "one", "beside a truth"])
def test_no_list_gives_the_volume_of_an_unreliable_result(face: str) -> None:
    """Neither the volume, its parts nor the lesions are in it; that it is not reliable is."""
    shown = _faces(_result(reliability="not_reliable"))[face]
    for number in ("28.2", "28.3", "21.3", "33.3", "19.5", "19.6", "77"):
        assert number not in shown
    assert "not reliable" in shown.replace("not_reliable", "not reliable")
    assert "28.3" in _faces(_result())[face].replace("28.27", "28.3")


def test_the_terminal_shows_all_of_a_result_to_review() -> None:
    """Volume, its parts and lesions."""
    shown = _faces(_result())["one"]
    assert [words in shown for words in ("28.27 mL", "periventricular", "19.57 mL", "lesions", "77")] == [True] * 5


def test_the_sheet_and_the_table_give_the_measured_interval() -> None:
    """The interval of page 1, with its share of patients, goes before the range of the model's own doubt."""
    result = _result(predictive_interval_ml=[15.1, 44.4], predictive_nominal=0.8)
    assert "80 % interval 15.1 to 44.4 mL" in contact_sheet([result], _MODEL).decode()
    assert "range 21.3 to 33.3 mL" in contact_sheet([_result()], _MODEL).decode()
    (row,) = csv.DictReader(io.StringIO(results_csv([result]).decode()))
    assert (row["predictive_lower_ml"], row["predictive_upper_ml"], row["predictive_nominal"]) == (
        "15.1",
        "44.4",
        "0.8",
    )
