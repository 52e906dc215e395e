"""Pearson's correlation and the partial one, with intervals, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import statsmodels.api as sm
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


FEWEST_FOR_PARTIAL: Final = 5
"""The model has three coefficients, the interval divides by n - 4."""


@dataclass(frozen=True)
class PartialCorrelation:
    """Partial correlation with its 95 % CI (Fisher's z with n - 4) and two-sided P value."""

    n: int
    r: float
    low: float
    high: float
    p: float


def partial_correlation(x: NDArray[Any], y: NDArray[Any], given: NDArray[Any]) -> PartialCorrelation | None:
    """Correlation of `x` and `y` given a third (one-dimensional, same length).

    It is t / sqrt(t^2 + df) of x's coefficient in the regression of y on x and the third, so that its P value is that
    of the coefficient. None with fewer than 5 values, or where one of them is a linear function of the others.
    """
    n = len(x)
    design = sm.add_constant(np.column_stack([x, given]), has_constant="add")
    if n < FEWEST_FOR_PARTIAL or np.linalg.matrix_rank(design) < design.shape[1] or np.ptp(y) == 0:
        return None
    fit = sm.OLS(y, design).fit()
    t, df = float(fit.tvalues[1]), float(fit.df_resid)
    if not np.isfinite(t):
        return None
    r = t / np.sqrt(t**2 + df)
    half = stats.norm.ppf(0.975) / np.sqrt(n - 4)
    z = np.arctanh(r)
    return PartialCorrelation(n, float(r), float(np.tanh(z - half)), float(np.tanh(z + half)), float(fit.pvalues[1]))
