"""Labelled cases of a folder, in NIfTI or DICOM, for the commands that train and evaluate models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from dicom_node.cases.prepare import prepare_cases
from dicom_node.cli.context import err
from dicom_node.node.errors import ConfigurationError
from training.data.cases import CaseOnDisk, open_cases
from training.data.cohort import FILE_NAME
from training.data.facts_index import FactsIndex
from training.data.splits import with_splits

FACTS: Final = "case-facts.json"
"""In --out: what was found in each case, so that the next call reads only what changed."""


def read_cases(
    data: Path,
    patients: Path | None,
    split: str | None,
    seed: int,
    cache: Path,
    progress: Any,
    facts: FactsIndex | None = None,
) -> tuple[CaseOnDisk, ...]:
    """Check every case of a folder, one in memory at a time; those in DICOM are converted first.

    Warns when nothing names the patients.

    Args:
        data: one folder per case.
        patients: CSV; None: DATA/patients.csv.
        split: the part that is wanted, not chosen here: blank cells of the column are drawn only where one is.
        seed: of that draw.
        cache: for the converted cases.
        progress: called at the stages convert and cases.
        facts: what earlier calls found, so that only what changed is read; None: nothing is known.

    Raises:
        ConfigurationError: no such CSV, or a cache folder with other files.
        BadTrainingCase: a case in DICOM that cannot be converted.
        BadInput: a case that cannot be used, by its name.
    """
    if patients is not None and not patients.is_file():
        raise ConfigurationError(f"--patients: expected a CSV file, found none at {patients}")
    if data.is_dir():
        data = prepare_cases(data, cache, lambda done, total: progress("convert", done, total))
    cases = open_cases(data, patients, facts or FactsIndex(), lambda done, total: progress("cases", done, total))
    if patients is None and not (data / FILE_NAME).exists():
        err.print(
            f"no {FILE_NAME} in {data.resolve().name}/: every case counts as another patient. If two cases are of "
            "one patient, list them (--patients CSV); otherwise a score may be too good",
            markup=False,
        )
    # Without a split to choose, a case whose cell is blank stays in no part: nothing is made up for the report.
    return with_splits(cases, seed) if split is not None and any(not case.split for case in cases) else cases
