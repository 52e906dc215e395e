"""`evaluation.json` and `cases.csv`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from training.evaluate.document import CaseRecord, Evaluation
from training.report_files import write_report_file

CSV_NAME: Final = "cases.csv"

_CLINICAL: Final = "clinical"


def write_evaluation(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Write both files into a folder (made if missing), each whole or not at all; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    document, table = folder / Evaluation.FILE_NAME, folder / CSV_NAME
    write_report_file(document, evaluation.to_json())
    write_report_file(table, cases_csv(evaluation.cases))
    return document, table


def cases_csv(cases: tuple[CaseRecord, ...]) -> str:
    """One row a case: the columns of `CaseRecord`, then the clinical ones; an undefined value is an empty cell.

    A clinical column with the name of one of ours is called `clinical.NAME`. No cell and no name of a column can
    run as a formula in a spreadsheet.
    """
    own = [name for name in CaseRecord.model_fields if name != _CLINICAL]
    clinical = sorted({name for case in cases for name in case.clinical})
    header = [*own, *(f"{_CLINICAL}.{name}" if name in own else name for name in clinical)]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([_safe(name) for name in header])
    for case in cases:
        values = [getattr(case, name) for name in own] + [case.clinical.get(name) for name in clinical]
        writer.writerow(["" if value is None else _safe(value) for value in values])
    return text.getvalue()


def read_evaluation(path: Path) -> Evaluation:
    """Read `evaluation.json`, or the one in a folder.

    Raises:
        BadEvaluation: damaged, or of another version.
    """
    return Evaluation.from_json((path / Evaluation.FILE_NAME if path.is_dir() else path).read_bytes())


def _safe(value: object) -> object:
    """A text that a spreadsheet would run as a formula gets a quote before it (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
