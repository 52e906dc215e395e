"""Evaluations of several contenders on the same cases to one comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from training.comparison.document import ComparedCase, Comparison, Contender, MeasureComparison, Summary
from training.comparison.pairs import Column, compare_pairs, over_all
from training.errors import BadCohort
from training.evaluation.document import CaseRecord, Evaluation
from training.evaluation.means import Range, mean_with_interval, range_of

KEYS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Measure:
    """What is compared: a column of `CaseRecord`, or the error of the volume."""

    name: str
    title: str
    unit: str
    better: Literal["higher", "lower"]

    @property
    def within(self) -> Range:
        """What it can be."""
        return range_of(self.unit)


VOLUME_ERROR: Final = "volume_error_ml"
MEASURES: Final = (
    Measure("dsc", "DSC", "", "higher"),
    Measure("hd_mm", "Hausdorff distance", "mm", "lower"),
    Measure("hd95_mm", "95th percentile of the surface distances", "mm", "lower"),
    Measure("surface_dice", "surface Dice", "", "higher"),
    Measure(VOLUME_ERROR, "error of the WMH volume, |automatic - manual|", "mL", "lower"),
    Measure("lesion_f1", "lesion F1", "", "higher"),
)
"""The first is the one that is asked about; the paper tests DSC and Hausdorff distance. No confidence measure: a rule
without probabilities has none."""


@dataclass(frozen=True)
class Entry:
    """One contender's evaluation, and what it is called."""

    label: str
    baseline: bool
    evaluation: Evaluation


def assemble(entries: Sequence[Entry], compared_at: datetime, notes: Sequence[str] = ()) -> Comparison:
    """Pair the evaluations case by case.

    Args:
        entries: two or more, of the same cases; the first is `A`.
        compared_at: the document's date.
        notes: sentences for the reader.

    Raises:
        BadCohort: fewer than two, more than there are letters, or evaluations of different cases.
    """
    if not 2 <= len(entries) <= len(KEYS):
        raise BadCohort(f"expected 2 to {len(KEYS)} contenders, got {len(entries)}: name bundles or --baseline")
    records = [entry.evaluation.cases for entry in entries]
    if any([row.case for row in rows] != [row.case for row in records[0]] for rows in records[1:]):
        raise BadCohort("expected evaluations of the same cases in the same order: run them on one folder of cases")
    patients = [row.patient for row in records[0]]
    keys = KEYS[: len(entries)]
    table = {each.name: [_column(rows, each.name) for rows in records] for each in MEASURES}
    return Comparison(
        compared_at=compared_at,
        software=entries[0].evaluation.software,
        contenders=tuple(_contender(key, entry) for key, entry in zip(keys, entries, strict=True)),
        patients=len(set(patients)),
        measures=tuple(_measure(each, dict(zip(keys, table[each.name], strict=True)), patients) for each in MEASURES),
        cases=tuple(
            ComparedCase(
                case=row.case,
                patient=row.patient,
                manual_ml=row.manual_ml,
                values={name: tuple(column[place] for column in columns) for name, columns in table.items()},
            )
            for place, row in enumerate(records[0])
        ),
        notes=tuple(notes),
    )


def _contender(key: str, entry: Entry) -> Contender:
    evaluation = entry.evaluation
    return Contender(
        key=key, label=entry.label, baseline=entry.baseline, model=evaluation.model, note=evaluation.cohort.note
    )


def _column(records: Sequence[CaseRecord], name: str) -> list[float | None]:
    if name == VOLUME_ERROR:
        return [abs(record.predicted_ml - record.manual_ml) for record in records]
    return [getattr(record, name) for record in records]


def _measure(measure: Measure, columns: dict[str, list[float | None]], patients: Sequence[str]) -> MeasureComparison:
    all_of_them = over_all(columns, patients) if len(columns) > 2 else None
    return MeasureComparison(
        name=measure.name,
        title=measure.title,
        unit=measure.unit,
        better=measure.better,
        summaries=tuple(_summary(key, column, measure.within) for key, column in columns.items()),
        pairs=compare_pairs(columns, patients, measure.within),
        p_all=all_of_them.p if all_of_them else None,
        note=all_of_them.note if all_of_them else "",
    )


def _summary(key: str, column: Column, within: Range) -> Summary:
    found = mean_with_interval([value for value in column if value is not None], within)
    return Summary(key=key, n=found.n, mean=found.mean, sd=found.sd, ci_low=found.low, ci_high=found.high)
