"""Paired tests of contenders on the same patients (paper, "Statistical Analysis"), from SciPy and statsmodels.

Scans of one patient are no independent samples: they are averaged first, so that n is the number of patients.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from scipy import stats

from training.evaluate.comparison.document import PairedComparison
from training.evaluate.means import UNLIMITED, Range, mean_with_interval
from training.evaluate.tests_of_difference import ALPHA, FEWEST_IN_GROUP, Test, paired_t

Column = Sequence[float | None]
"""A measure of one contender, a value a case."""


def compare_pairs(
    columns: Mapping[str, Column], patients: Sequence[str], within: Range = UNLIMITED
) -> tuple[PairedComparison, ...]:
    """Every pair of contenders; P times the number of pairs (Bonferroni).

    Args:
        columns: contender's key -> a value a case; None where the measure is undefined.
        patients: whose case it is, in the same order.
        within: what the measure can be.
    """
    pairs = list(combinations(columns, 2))
    return tuple(_compare({a: columns[a], b: columns[b]}, patients, len(pairs), within) for a, b in pairs)


def over_all(columns: Mapping[str, Column], patients: Sequence[str]) -> Test:
    """Repeated-measures ANOVA over all contenders, on patients with a value from each."""
    name = "repeated-measures ANOVA"
    means = by_patient(list(columns.values()), patients)
    if len(means) < FEWEST_IN_GROUP:
        return Test(name, None, f"at least {FEWEST_IN_GROUP} patients are needed, there are {len(means)}")
    values = np.array(list(means.values()))
    if np.allclose(values, values[:, :1], rtol=0, atol=_NOTHING):
        return Test(name, None, "undefined: there is no difference in any patient")
    rows = [(patient, key, row[place]) for patient, row in means.items() for place, key in enumerate(columns)]
    import pandas as pd  # these two take seconds to import, and `wmh-node train` needs neither
    from statsmodels.stats.anova import AnovaRM

    table = pd.DataFrame(rows, columns=["patient", "contender", "value"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no variance at all: P is NaN, which is said below
        p = float(AnovaRM(table, "value", "patient", within=["contender"]).fit().anova_table["Pr > F"].iloc[0])
    return Test(name, p) if np.isfinite(p) else Test(name, None, "undefined: the values do not vary")


def by_patient(columns: Sequence[Column], patients: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Each patient's mean over the scans where every column has a value; patients without such a scan are left out."""
    scans: dict[str, list[tuple[float, ...]]] = {}
    for patient, *values in zip(patients, *columns, strict=True):
        row = tuple(value for value in values if value is not None)
        if len(row) == len(columns):
            scans.setdefault(patient, []).append(row)
    return {patient: tuple(np.mean(rows, axis=0).tolist()) for patient, rows in scans.items()}


_NOTHING: Final = 1e-12  # rounding of the averages, whose F would be a ratio of two errors

_LEAST_P: Final = 2.0
"""A Wilcoxon test of n pairs gives no P under 2 / 2^n: all differences on one side, and the mirror of that."""


def _compare(columns: Mapping[str, Column], patients: Sequence[str], tests: int, within: Range) -> PairedComparison:
    first, second = columns
    means = by_patient(list(columns.values()), patients)
    if not means:
        return PairedComparison(first=first, second=second, n=0, note="no patient has a value from both")
    a, b = (np.array(column) for column in zip(*means.values(), strict=True))
    difference = mean_with_interval(a - b, within.of_differences)
    t, wilcoxon = paired_t(a.tolist(), b.tolist()), _wilcoxon(a - b)
    notes = [t.note or wilcoxon.note, difference.note]
    if left_out := len(set(patients)) - len(means):
        notes.append(f"{left_out} {'patient' if left_out == 1 else 'patients'} without a value from both left out")
    if wilcoxon.p is not None and tests * _LEAST_P / 2 ** len(means) > ALPHA:
        notes.append(f"with {len(means)} patients the Wilcoxon test cannot reach P < .05")
    return PairedComparison(
        first=first,
        second=second,
        n=difference.n,
        difference=difference.mean,
        ci_low=difference.low,
        ci_high=difference.high,
        p_t=_bonferroni(t.p, tests),
        p_wilcoxon=_bonferroni(wilcoxon.p, tests),
        note="; ".join(note for note in notes if note),
    )


def _wilcoxon(differences: np.ndarray) -> Test:
    name = "Wilcoxon signed-rank test"
    if len(differences) < FEWEST_IN_GROUP:
        return Test(name, None, f"at least {FEWEST_IN_GROUP} patients are needed, there are {len(differences)}")
    if not differences.any():
        return Test(name, None, "undefined: there is no difference in any patient")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ties in a small sample: SciPy takes the normal approximation
        p = float(stats.wilcoxon(differences).pvalue)
    return Test(name, p) if np.isfinite(p) else Test(name, None, "undefined: the values do not vary")


def _bonferroni(p: float | None, tests: int) -> float | None:
    return None if p is None else min(1.0, p * tests)
