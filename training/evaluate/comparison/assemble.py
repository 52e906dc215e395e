"""Evaluations of several contenders on the same cases to one comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from training.errors import BadCohort
from training.evaluate.comparison.document import ComparedCase, Comparison, Contender, MeasureComparison, Summary
from training.evaluate.comparison.pairs import Column, by_patient, compare_pairs, over_all
from training.evaluate.document import CaseRecord, Evaluation, ModelRecord
from training.evaluate.means import Range, mean_with_interval, range_of
from training.evaluate.paper import external_mean

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
"""The first is the main one; the paper tests DSC and Hausdorff distance. No confidence measure: a rule
without probabilities has none."""


@dataclass(frozen=True)
class Entry:
    """One contender's evaluation, and what it is called."""

    label: str
    baseline: bool
    evaluation: Evaluation


@dataclass(frozen=True)
class _Evaluated:
    """One contender's results: a column a measure, a value a case."""

    label: str
    baseline: bool
    model: ModelRecord
    note: str
    columns: Mapping[str, Column]
    at: datetime | None = None


def assemble(
    entries: Sequence[Entry], compared_at: datetime, notes: Sequence[str] = (), earlier: Comparison | None = None
) -> Comparison:
    """Pair the evaluations case by case.

    Args:
        entries: of the same cases; the first is `A`.
        compared_at: the document's date.
        notes: sentences for the reader.
        earlier: a comparison of the same cases; those of its contenders that are not among `entries` come after them.

    Raises:
        BadCohort: fewer than two contenders, more than there are letters, none that is new, or other cases.
    """
    if not entries:
        raise BadCohort("expected at least one new contender, got none")
    records = [entry.evaluation.cases for entry in entries]
    if any([row.case for row in rows] != [row.case for row in records[0]] for rows in records[1:]):
        raise BadCohort("expected evaluations of the same cases in the same order: run them on one folder of cases")
    evaluated = [_evaluated(entry) for entry in entries]
    if earlier is not None:
        _require_same_cases(earlier, records[0])
        known = {entry.model.digest for entry in evaluated}
        order = [row.case for row in records[0]]
        evaluated += [entry for entry in _contenders_of(earlier, order) if entry.model.digest not in known]
    if not 2 <= len(evaluated) <= len(KEYS):
        raise BadCohort(f"expected 2 to {len(KEYS)} contenders, got {len(evaluated)}: name bundles or --baseline")
    patients = [row.patient for row in records[0]]
    by_key = dict(zip(KEYS[: len(evaluated)], evaluated, strict=True))
    return Comparison(
        compared_at=compared_at,
        software=entries[0].evaluation.software,
        contenders=tuple(
            Contender(
                key=key,
                label=entry.label,
                baseline=entry.baseline,
                model=entry.model,
                note=entry.note,
                judged_at=entry.at,
            )
            for key, entry in by_key.items()
        ),
        patients=len(set(patients)),
        measures=tuple(_measure(each, by_key, patients) for each in MEASURES),
        cases=tuple(
            ComparedCase(
                case=row.case,
                patient=row.patient,
                manual_ml=row.manual_ml,
                values={each.name: tuple(entry.columns[each.name][place] for entry in evaluated) for each in MEASURES},
            )
            for place, row in enumerate(records[0])
        ),
        notes=(*notes, *_notes(by_key)),
    )


def _require_same_cases(earlier: Comparison, cases: Sequence[CaseRecord]) -> None:
    """What was measured on other cases, or against other masks, cannot be paired."""
    if any({each.name for each in MEASURES} - row.values.keys() for row in earlier.cases):
        raise BadCohort(f"the earlier comparison is of another version, by other measures: {_RUN_ALL}")
    before = {row.case: row for row in earlier.cases}
    for case in cases:
        row = before.pop(case.case, None)
        if row is None:
            raise BadCohort(f"{case.case}: expected it in the earlier comparison too, it is not: {_RUN_ALL}")
        if row.patient != case.patient:
            raise BadCohort(f"{case.case}: expected the patient of the earlier comparison, got another: {_RUN_ALL}")
        if not math.isclose(row.manual_ml, case.manual_ml, rel_tol=_ROUNDING):
            raise BadCohort(
                f"{case.case}: expected the mask of the earlier comparison, {row.manual_ml:.3f} mL, got one of "
                f"{case.manual_ml:.3f} mL: {_RUN_ALL}"
            )
    if before:
        raise BadCohort(f"{min(before)}: it is in the earlier comparison and not among these cases: {_RUN_ALL}")


_RUN_ALL: Final = "compare all models again, on one folder of cases"
_ROUNDING: Final = 1e-9


def _evaluated(entry: Entry) -> _Evaluated:
    evaluation = entry.evaluation
    columns = {each.name: _column(evaluation.cases, each.name) for each in MEASURES}
    return _Evaluated(entry.label, entry.baseline, evaluation.model, evaluation.cohort.note, columns)


def _contenders_of(earlier: Comparison, order: Sequence[str]) -> list[_Evaluated]:
    rows = {row.case: row for row in earlier.cases}
    found = []
    for place, contender in enumerate(earlier.contenders):
        columns = {each.name: [rows[name].values[each.name][place] for name in order] for each in MEASURES}
        at = contender.judged_at or earlier.compared_at
        found.append(_Evaluated(contender.label, contender.baseline, contender.model, contender.note, columns, at))
    return found


def _notes(evaluated: Mapping[str, _Evaluated]) -> list[str]:
    days: dict[str, list[str]] = {}
    for key, entry in evaluated.items():
        if entry.at is not None:
            days.setdefault(f"{entry.at:%Y-%m-%d}", []).append(key)
    return [f"{', '.join(keys)}: scored on these cases on {day}, and not run again." for day, keys in days.items()]


def _column(records: Sequence[CaseRecord], name: str) -> list[float | None]:
    if name == VOLUME_ERROR:
        return [abs(record.predicted_ml - record.manual_ml) for record in records]
    return [getattr(record, name) for record in records]


def _measure(measure: Measure, evaluated: Mapping[str, _Evaluated], patients: Sequence[str]) -> MeasureComparison:
    columns = {key: entry.columns[measure.name] for key, entry in evaluated.items()}
    all_of_them = over_all(columns, patients) if len(columns) > 2 else None
    return MeasureComparison(
        name=measure.name,
        title=measure.title,
        unit=measure.unit,
        better=measure.better,
        summaries=tuple(_summary(key, entry, measure, patients) for key, entry in evaluated.items()),
        pairs=compare_pairs(columns, patients, measure.within),
        p_all=all_of_them.p if all_of_them else None,
        note=all_of_them.note if all_of_them else "",
    )


def _summary(key: str, entry: _Evaluated, measure: Measure, patients: Sequence[str]) -> Summary:
    """Over the scans, and over the patients: the tests are paired by patient, and so is the interval that is shown."""
    column = entry.columns[measure.name]
    scans = mean_with_interval([value for value in column if value is not None], measure.within)
    averaged = mean_with_interval([mean for (mean,) in by_patient([column], patients).values()], measure.within)
    return Summary(
        key=key,
        n=scans.n,
        mean=scans.mean,
        sd=scans.sd,
        ci_low=scans.low,
        ci_high=scans.high,
        patients=averaged.n,
        patient_mean=averaged.mean,
        patient_ci_low=averaged.low,
        patient_ci_high=averaged.high,
        paper=external_mean(measure.name, entry.model.architecture),
    )
