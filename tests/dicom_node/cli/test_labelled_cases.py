"""The cases that a command is given: who is who must be stated, or the command says that it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.labelled_cases import write_cohort

from dicom_node.cli.labelled_cases import read_cases
from dicom_node.node.errors import ConfigurationError
from training.errors import BadCohort


def _read(data: Path, patients: Path | None, cache: Path) -> list[str]:
    cases = read_cases(data, patients, None, 0, cache, lambda stage, done, total: None)
    return [case.patient for case in cases]


def test_without_a_table_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two scans of one patient would be parted without a word; with a table nothing is said."""
    data = write_cohort(tmp_path / "data", patients=2)
    assert _read(data, None, tmp_path / "cache") == ["p0", "p1"]
    assert "no patients.csv in data/: every case counts as another patient" in capsys.readouterr().err
    table = tmp_path / "who.csv"
    table.write_text("case,patient,site,split\np0,anna,,\np1,anna,,\n")
    assert _read(data, table, tmp_path / "cache") == ["anna", "anna"]
    table.rename(data / "patients.csv")
    assert _read(data, None, tmp_path / "cache") == ["anna", "anna"]
    assert capsys.readouterr().err == ""


def test_what_is_not_there_is_reported(tmp_path: Path) -> None:
    """A folder or a table that does not exist is named."""
    with pytest.raises(BadCohort, match="found no folder none/"):
        _read(tmp_path / "none", None, tmp_path / "cache")
    data = write_cohort(tmp_path / "data", patients=2)
    with pytest.raises(ConfigurationError, match=r"--patients: .*none at .*who\.csv"):
        _read(data, tmp_path / "who.csv", tmp_path / "cache")
