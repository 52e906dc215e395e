"""Agreement of two volumes: Pearson's r, Lin's concordance correlation coefficient, its bias correction factor.

CCC = 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2), moments over n (Lin 1989, Biometrics 45:255).
C_b = CCC / r: how far the fitted line is from the 45 degree line; r: how far the points are from the fitted line. The
interval is by Lin's z-transform with the variance as corrected in Lin 2000 (Biometrics 56:324), as in Stata's
`concord` and R's `epi.ccc`. Neither SciPy nor statsmodels has the coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.evaluate.correlation import FEWEST_FOR_CI, Correlation, correlation


@dataclass(frozen=True)
class Agreement:
    """Agreement of paired values.

    Attributes:
        linear: Pearson's correlation.
        ccc: Lin's coefficient.
        ccc_low: lower end of its 95 % CI; None where it is undefined (fewer than 4 pairs, |r| = 1 or r = 0).
        ccc_high: upper end.
        bias_correction: C_b; None when r = 0.
    """

    linear: Correlation
    ccc: float
    ccc_low: float | None
    ccc_high: float | None
    bias_correction: float | None


def agreement(first: NDArray[Any], second: NDArray[Any]) -> Agreement | None:
    """Agreement of two one-dimensional arrays of one length; None with fewer than 3 pairs or a constant array."""
    linear = correlation(first, second)
    if linear is None:
        return None
    r = linear.r
    var_x, var_y = float(np.var(first)), float(np.var(second))
    shift = float(np.mean(first) - np.mean(second)) ** 2
    ccc = 2 * r * np.sqrt(var_x * var_y) / (var_x + var_y + shift)
    low, high = _lin_interval(linear.n, r, ccc, shift / np.sqrt(var_x * var_y))
    return Agreement(
        linear=linear,
        ccc=float(ccc),
        ccc_low=low,
        ccc_high=high,
        bias_correction=float(ccc / r) if r else None,
    )


def _lin_interval(n: int, r: float, ccc: float, u2: float) -> tuple[float | None, float | None]:
    """95 % CI; `u2` is the squared location shift relative to the scale."""
    if n < FEWEST_FOR_CI or r == 0 or abs(r) == 1 or abs(ccc) == 1:
        return None, None
    variance = (
        (1 - r**2) * ccc**2 * (1 - ccc**2) / r**2 + 2 * ccc**3 * (1 - ccc) * u2 / r - ccc**4 * u2**2 / (2 * r**2)
    ) / (n - 2)
    if variance < 0:
        return None, None
    z = np.arctanh(ccc)
    half = stats.norm.ppf(0.975) * np.sqrt(variance) / (1 - ccc**2)
    return float(np.tanh(z - half)), float(np.tanh(z + half))
