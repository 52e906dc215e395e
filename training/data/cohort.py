"""patients.csv: which patient, site and part of the split a case belongs to, and what else is known of the patient.

| column            | required | meaning                                                                             |
|-------------------|----------|-------------------------------------------------------------------------------------|
| patient           | yes      | cases of one patient are never on two sides of a split                              |
| site              | yes      | where the scan was made; may be blank                                               |
| split             | yes      | train, validation, test, external; blank: split 60/20/20 by patient (`splits.py`)   |
| case              | no       | name of the case folder; without the column, or blank: the patient                  |
| every other one   | no       | clinical (age, sex, infarct_volume_ml, infarct_site, ...)                           |

A clinical column whose every filled cell is a number holds numbers, any other holds text. Blank cells, NA and NaN are
unknown, and left out.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast, get_args

from training.errors import BadCohort

FILE_NAME: Final = "patients.csv"

Split = Literal["", "train", "validation", "test", "external"]
Clinical = Mapping[str, float | str]

_REQUIRED: Final = ("patient", "site", "split")
_CASE: Final = "case"
_UNKNOWN: Final = frozenset({"", "na", "n/a", "nan"})


@dataclass(frozen=True)
class PatientRow:
    """One row of patients.csv, or what stands for it where there is no such file.

    Attributes:
        case: name of the case folder.
        patient: who it is.
        site: where it was scanned; "" when unknown.
        split: part of the split; "": to be drawn.
        clinical: column -> number or text, unknown cells left out.
    """

    case: str
    patient: str
    site: str = ""
    split: Split = ""
    clinical: Clinical = field(default_factory=dict)


def read_patients(path: Path) -> dict[str, PatientRow]:
    """Read patients.csv as case -> row, in file order.

    Raises:
        BadCohort: not a readable table, a missing column, an unknown split, a case listed twice, or a patient on two
            sides of the split.
    """
    header, table = _table(path)
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise BadCohort(
            f"{path.name}: missing column {', '.join(missing)}; expected the columns {', '.join(_REQUIRED)} (cells of "
            f"site and split may be blank), got {', '.join(header) or 'an empty file'}"
        )
    clinical = [name for name in header if name not in (*_REQUIRED, _CASE)]
    numeric = {name for name in clinical if all(_number(row[name]) is not None for row in table if _known(row[name]))}
    rows: dict[str, PatientRow] = {}
    for line, cells in enumerate(table, start=2):
        row = _row(f"{path.name}, line {line}", cells, clinical, numeric)
        if row.case in rows:
            raise BadCohort(f"{path.name}, line {line}: case {row.case} is listed twice; expected one row a case")
        rows[row.case] = row
    refuse_patients_on_two_sides(list(rows.values()))
    return rows


def refuse_patients_on_two_sides(rows: Sequence[PatientRow]) -> None:
    """Every patient is on one side of the split.

    Raises:
        BadCohort: a patient is on two; names the patient and the cases.
    """
    sides: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.split:
            sides.setdefault(row.patient, {})[row.case] = row.split
    for patient, split_of in sides.items():
        if len(set(split_of.values())) > 1:
            where = ", ".join(f"case {case} in {split}" for case, split in sorted(split_of.items()))
            raise BadCohort(
                f"patient {patient} is on two sides of the split ({where}): scans of one patient are alike, and a "
                "score would be too good; put them on one side"
            )


def _table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows, cells stripped."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:  # Excel writes a byte order mark
            raw = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadCohort(f"{path.name}: expected a CSV file in UTF-8 ({type(error).__name__})") from error
    header, *rows = raw or [[]]
    if len(set(header)) < len(header):
        raise BadCohort(f"{path.name}: expected every column once, got {', '.join(header)}")
    for line, row in enumerate(rows, start=2):
        if row and len(row) != len(header):
            raise BadCohort(f"{path.name}, line {line}: expected {len(header)} cells, got {len(row)}")
    return header, [dict(zip(header, row, strict=True)) for row in rows if row]


def _row(where: str, cells: dict[str, str], clinical: Sequence[str], numeric: set[str]) -> PatientRow:
    patient, split = cells["patient"], cells["split"].lower()
    case = cells.get(_CASE) or patient
    if not patient:
        raise BadCohort(
            f"{where}: the patient of case {case or '(blank)'} is blank; two scans of one patient could be split"
        )
    if split not in get_args(Split):
        raise BadCohort(
            f"{where}: case {case}: expected split {', '.join(get_args(Split)[1:])} or a blank cell, got {split!r}"
        )
    known = {name: cells[name] for name in clinical if _known(cells[name])}
    typed = {name: _as_number(text) if name in numeric else text for name, text in known.items()}
    return PatientRow(case, patient, cells["site"], cast(Split, split), typed)


def _known(cell: str) -> bool:
    return cell.lower() not in _UNKNOWN


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _as_number(cell: str) -> float:
    number = _number(cell)
    assert number is not None  # the column was found to be numeric
    return number
