"""Labelled cases of a folder, in NIfTI or DICOM, for the commands that judge models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.cases import LabelledCase


def read_cases(
    data: Path, patients: Path | None, split: str | None, seed: int, cache: Path, progress: Any
) -> tuple[LabelledCase, ...]:
    """Read every case of a folder; those in DICOM are converted first.

    Args:
        data: a folder a case.
        patients: CSV; None: DATA/patients.csv.
        split: the part that is wanted, not chosen here: blank cells of the column are drawn only where one is.
        seed: of that draw.
        cache: for the converted cases.
        progress: hears of the stages convert and cases.

    Raises:
        BadTrainingCase: a case in DICOM that cannot be converted.
        BadInput: a case that cannot be used, by its name.
    """
    from dicom_node.casework.prepare import prepare_cases
    from training.cases import load_cases
    from training.splits import with_splits

    if data.is_dir():
        data = prepare_cases(data, cache, lambda done, total: progress("convert", done, total))
    progress("cases", 0, 1)
    cases = load_cases(data, patients)
    progress("cases", 1, 1)
    # Without a split to choose, a case whose cell is blank stays in no part: nothing is made up for the report.
    return with_splits(cases, seed) if split is not None and any(not case.split for case in cases) else cases
