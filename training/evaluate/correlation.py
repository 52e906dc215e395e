"""Pearson's correlation with its interval, from SciPy, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEWEST_FOR_R: Final = 3
FEWEST_FOR_CI: Final = 4
"""Fisher's interval divides by the root of n - 3."""


@dataclass(frozen=True)
class Correlation:
    """Correlation of paired values.

    Attributes:
        n: pairs.
        r: Pearson's correlation.
        low: lower end of its 95 % CI (Fisher); None with fewer than 4 pairs, or on a line.
        high: upper end.
        p: two-sided P value of r = 0.
    """

    n: int
    r: float
    low: float | None
    high: float | None
    p: float


def correlation(first: Sequence[float] | NDArray[Any], second: Sequence[float] | NDArray[Any]) -> Correlation | None:
    """Correlation of two columns of one length; None with fewer than 3 pairs or a column that does not vary."""
    n = len(first)
    if n < FEWEST_FOR_R or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    found = stats.pearsonr(first, second)
    r, p = float(found.statistic), float(found.pvalue)
    if n < FEWEST_FOR_CI or abs(r) == 1:
        return Correlation(n, r, None, None, p)
    interval = found.confidence_interval()
    return Correlation(n, r, float(interval.low), float(interval.high), p)
