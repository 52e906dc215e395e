"""The paper's tests ("Statistical Analysis"), two-sided, from SciPy and statsmodels: each says its name.

Too few cases for a test is not an error: the result then holds the words and no P value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.evaluate.document import PairTest

ALPHA: Final = 0.05
FEWEST_IN_GROUP: Final = 2


@dataclass(frozen=True)
class Test:
    """A test's name and P value; without one, `note` says why."""

    __test__ = False  # pytest would collect it

    name: str
    p: float | None
    note: str = ""


def paired_t(first: Sequence[float], second: Sequence[float]) -> Test:
    """Paired t test of two measurements of the same cases, in the same order."""
    name = "paired t test"
    if len(first) < FEWEST_IN_GROUP:
        return Test(name, None, f"at least {FEWEST_IN_GROUP} cases are needed, there are {len(first)}")
    return _finite(name, stats.ttest_rel(first, second).pvalue)


def anova(groups: Mapping[str, Sequence[float]]) -> Test:
    """One-way ANOVA over the groups with at least two values."""
    return _over_groups("one-way ANOVA", groups, lambda values: stats.f_oneway(*values).pvalue)


def kruskal_wallis(groups: Mapping[str, Sequence[float]]) -> Test:
    """Kruskal-Wallis test over the groups with at least two values."""
    return _over_groups("Kruskal-Wallis test", groups, lambda values: stats.kruskal(*values).pvalue)


def chi_square(counts: NDArray[Any]) -> Test:
    """Chi-square test of a table of counts (category, group); empty rows and columns are left out."""
    name = "chi-square test"
    table = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return Test(name, None, "at least two categories in two groups are needed")
    found = stats.chi2_contingency(table, correction=False)
    note = "an expected count lies below 5" if (found.expected_freq < 5).any() else ""
    return Test(name, float(found.pvalue), note)


def bonferroni_pairs(groups: Mapping[str, Sequence[float]]) -> tuple[PairTest, ...]:
    """t test of every pair of groups with at least two values, P times the number of pairs (Bonferroni)."""
    usable = _usable(groups)
    pairs = [
        (first, second)
        for first, second in combinations(usable, 2)
        if np.ptp(usable[first]) > 0 or np.ptp(usable[second]) > 0
    ]
    if not pairs:
        return ()
    raw = [float(stats.ttest_ind(usable[first], usable[second]).pvalue) for first, second in pairs]
    from statsmodels.stats.multitest import multipletests  # takes seconds to import, as pandas does

    adjusted = multipletests(raw, alpha=ALPHA, method="bonferroni")[1]
    return tuple(
        PairTest(first=a, second=b, difference=float(np.mean(usable[a]) - np.mean(usable[b])), p=min(1.0, float(p)))
        for (a, b), p in zip(pairs, adjusted, strict=True)
    )


def _usable(groups: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    return {label: values for label, values in groups.items() if len(values) >= FEWEST_IN_GROUP}


def _over_groups(name: str, groups: Mapping[str, Sequence[float]], test: Any) -> Test:
    usable = _usable(groups)
    if len(usable) < 2:
        need = f"two groups of at least {FEWEST_IN_GROUP} cases are needed, there are {len(usable)}"
        return Test(name, None, need)
    pooled = np.concatenate([np.asarray(values, np.float64) for values in usable.values()])
    if np.ptp(pooled) == 0:
        return Test(name, None, "all values are the same")
    left_out = [label for label in groups if label not in usable]
    return _finite(
        name, test(list(usable.values())), f"without {', '.join(left_out)}: too few cases" if left_out else ""
    )


def _finite(name: str, p: Any, note: str = "") -> Test:
    return Test(name, float(p), note) if np.isfinite(p) else Test(name, None, "undefined: the values do not vary")
