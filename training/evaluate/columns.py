"""Columns of the cases as functions, and what there is in them: an undefined value is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from training.evaluate.document import CaseRecord

Value = Callable[[CaseRecord], float | None]


def dsc(record: CaseRecord) -> float | None:
    """DSC of the WMH."""
    return record.dsc


def uncertainty_index(record: CaseRecord) -> float | None:
    """The paper's index; None where nothing was predicted."""
    return record.uncertainty_index


def defined(records: Sequence[CaseRecord], value: Value) -> list[float]:
    """The values of those cases that have one, in order."""
    return [found for record in records if (found := value(record)) is not None]


def nothing_predicted(records: Sequence[CaseRecord]) -> str:
    """What to say where cases without an uncertainty index drop out: it is undefined where nothing was predicted."""
    left_out = sum(record.uncertainty_index is None for record in records)
    cases = "1 case" if left_out == 1 else f"{left_out} cases"
    return f"{cases} of {len(records)} with nothing predicted left out" if left_out else ""


def undefined_for(missing: int, cases: int) -> str:
    """What to say where a value is missing in some of the cases; empty for none."""
    return f"undefined for {missing} of {cases} cases" if missing else ""


def both_defined(records: Sequence[CaseRecord], first: Value, second: Value) -> tuple[list[float], list[float]]:
    """Two columns of those cases that have a value in both, in order."""
    rows = [(a, b) for record in records if (a := first(record)) is not None and (b := second(record)) is not None]
    return [a for a, _ in rows], [b for _, b in rows]
