"""The paper's Table: characteristics of the patients by data set, with the test that fits each.

Numbers that are skewed (|skewness| > 1) are given as median (IQR) and compared by Kruskal-Wallis, others as mean (SD)
by ANOVA; words and yes/no columns as n (%) by chi-square ("Statistical Analysis": "as appropriate"). Volumes are
always given as median (IQR), as in the paper. A patient counts once, however many scans there are: by the first of them
that has a value, in the order of the cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from training.evaluate.document import BaselineRow, BaselineTable, CaseRecord
from training.evaluate.groups import EXTERNAL
from training.evaluate.strata import INFARCT_VOLUME
from training.evaluate.tests_of_difference import anova, chi_square, kruskal_wallis

WMH_VOLUME: Final = "WMH volume (mL)"
MOST_CATEGORIES: Final = 12

_SKEWED: Final = 1.0
_NO_COLUMN: Final = "patients.csv has no clinical column"
_ALWAYS_MEDIAN: Final = (INFARCT_VOLUME, WMH_VOLUME)

Scans = Sequence[CaseRecord]
"""Of one patient."""

Columns = Mapping[str, Sequence[Scans]]


def baseline_table(records: Sequence[CaseRecord]) -> BaselineTable:
    """Characteristics by data set: training, validation and test together, then each external site."""
    columns = {label: _patients(members) for label, members in _columns(records).items()}
    names = sorted({name for record in records for name in record.clinical})
    rows: list[BaselineRow] = []
    for name in names:
        rows.extend(_rows(name, {label: _cells(name, members) for label, members in columns.items()}))
    volumes = {label: [scans[0].manual_ml for scans in members] for label, members in columns.items()}
    rows.append(_number_row(WMH_VOLUME, volumes))
    return BaselineTable(
        columns=tuple(columns),
        counts=tuple(len(members) for members in columns.values()),
        rows=tuple(rows),
        note="; ".join(note for note in (_several_scans(columns), "" if names else _NO_COLUMN) if note),
    )


def _several_scans(columns: Columns) -> str:
    several = sum(len(scans) > 1 for members in columns.values() for scans in members)
    if not several:
        return ""
    patients = "1 patient has" if several == 1 else f"{several} patients have"
    return (
        f"a patient counts once: {patients} several scans, of which the first counts (of a clinical column, the first "
        "that has a value)"
    )


def _patients(records: Sequence[CaseRecord]) -> list[Scans]:
    """The scans of each patient, in the order of the records."""
    scans: dict[str, list[CaseRecord]] = {}
    for record in records:
        scans.setdefault(record.patient, []).append(record)
    return list(scans.values())


def _columns(records: Sequence[CaseRecord]) -> Mapping[str, Sequence[CaseRecord]]:
    external = [record for record in records if record.split == EXTERNAL]
    if not external:
        sites = sorted({record.site for record in records})
        if len(sites) < 2:
            return {"all": records}
        return {site or "site unknown": [r for r in records if r.site == site] for site in sites}
    columns: dict[str, Sequence[CaseRecord]] = {}
    if inside := [record for record in records if record.split != EXTERNAL]:
        columns["training, validation, and internal test"] = inside
    for site in sorted({record.site for record in external}):
        columns[f"external: {site or 'site unknown'}"] = [record for record in external if record.site == site]
    return columns


def _cells(name: str, patients: Sequence[Scans]) -> list[float | str]:
    found = ([scan.clinical[name] for scan in scans if name in scan.clinical] for scans in patients)
    return [cells[0] for cells in found if cells]


def _rows(name: str, cells: Mapping[str, Sequence[float | str]]) -> list[BaselineRow]:
    every = [cell for group in cells.values() for cell in group]
    numeric = {label: [cell for cell in group if isinstance(cell, float)] for label, group in cells.items()}
    yes_no = set(every) <= {0.0, 1.0}
    if all(isinstance(cell, float) for cell in every) and not yes_no:
        return [_number_row(name, numeric)]
    return _category_rows(name, {label: [_word(cell) for cell in group] for label, group in cells.items()}, yes_no)


def _number_row(name: str, groups: Mapping[str, Sequence[float]]) -> BaselineRow:
    pooled = np.concatenate([np.asarray(group, np.float64) for group in groups.values()])
    skewed = len(pooled) > 2 and np.ptp(pooled) > 0 and abs(float(stats.skew(pooled))) > _SKEWED
    if name in _ALWAYS_MEDIAN or skewed:
        test = kruskal_wallis(groups)
        cells = tuple(_median(group) for group in groups.values())
        return BaselineRow(
            label=name, form="median (IQR)", cells=cells, p=test.p, test=test.name, note=_why(groups, test.note)
        )
    test = anova(groups)
    cells = tuple(_mean(group) for group in groups.values())
    return BaselineRow(
        label=name, form="mean (SD)", cells=cells, p=test.p, test=test.name, note=_why(groups, test.note)
    )


def _why(groups: Mapping[str, Sequence[float]], note: str) -> str:
    return "" if len(groups) == 1 else note


def _category_rows(name: str, groups: Mapping[str, Sequence[str]], yes_no: bool) -> list[BaselineRow]:
    """A row of its own for a yes/no column; else a heading with the P value, and a row a category."""
    frame = pd.DataFrame(
        [(word, label) for label, group in groups.items() for word in group], columns=["word", "label"]
    )
    table = pd.crosstab(frame["word"], frame["label"]).reindex(columns=list(groups), fill_value=0)
    blank = tuple("" for _ in groups)
    if len(table) > MOST_CATEGORIES:
        note = f"{len(table)} different values: not a category"
        return [BaselineRow(label=name, form="n (%)", cells=blank, note=note)]
    test = chi_square(table.to_numpy())
    note = "" if len(groups) == 1 else test.note
    if yes_no:
        counts = table.loc["yes"] if "yes" in table.index else table.sum() * 0
        cells = _shares(counts.to_list(), table.sum().to_list())
        return [BaselineRow(label=name, form="n (%)", cells=cells, p=test.p, test=test.name, note=note)]
    heading = BaselineRow(label=name, form="n (%)", cells=blank, p=test.p, test=test.name, note=note)
    sums = table.sum().to_list()
    return [
        heading,
        *(
            BaselineRow(label=f"{name}: {word}", form="n (%)", cells=_shares(table.loc[word].to_list(), sums))
            for word in table.index
        ),
    ]


def _shares(counts: Sequence[int], sums: Sequence[int]) -> tuple[str, ...]:
    return tuple(
        f"{count} ({100 * count / total:.1f})" if total else "" for count, total in zip(counts, sums, strict=True)
    )


def _word(cell: float | str) -> str:
    return {0.0: "no", 1.0: "yes"}.get(cell, f"{cell:g}") if isinstance(cell, float) else cell


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ({np.std(values, ddof=1):.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def _median(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
