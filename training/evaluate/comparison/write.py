"""`comparison.json` and `cases.csv` of a comparison."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from training.evaluate.comparison.document import Comparison
from training.evaluate.document import Evaluation
from training.evaluate.write import CSV_NAME, cases_csv
from training.report_files import write_report_file


def write_comparison(comparison: Comparison, evaluations: Sequence[Evaluation], folder: Path) -> tuple[Path, Path]:
    """Write both files into a folder (made if missing), each whole or not at all; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    document, table = folder / Comparison.FILE_NAME, folder / CSV_NAME
    write_report_file(document, comparison.to_json())
    write_report_file(table, comparison_csv(comparison, evaluations))
    return document, table


def comparison_csv(comparison: Comparison, evaluations: Sequence[Evaluation]) -> str:
    """One row a case and contender: its key and digest, then every column of the evaluation's own table.

    Contenders of an earlier comparison come last and have no such table: they have no rows.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    ran = comparison.contenders[: len(evaluations)]
    for place, (contender, evaluation) in enumerate(zip(ran, evaluations, strict=True)):
        header, *rows = csv.reader(io.StringIO(cases_csv(evaluation.cases), newline=""))
        if place == 0:
            writer.writerow(["contender", "digest", *header])
        writer.writerows([contender.key, contender.model.digest, *row] for row in rows)
    return text.getvalue()
