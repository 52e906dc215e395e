"""Mean with its 95 % confidence interval, which never leaves what the measure can be.

Student's interval knows no limits: of two cases it may give a DSC above 1 or a distance below 0. It is cut at the
limits of the measure. The mean cannot lie beyond them either, so that the interval holds it just as often as before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.evaluate.tests_of_difference import ALPHA


@dataclass(frozen=True)
class Range:
    """The least and the largest value that a measure can have."""

    low: float
    high: float

    @property
    def of_differences(self) -> Range:
        """What the difference of two such values can be."""
        return Range(self.low - self.high, self.high - self.low)


SHARE: Final = Range(0.0, 1.0)
NOT_NEGATIVE: Final = Range(0.0, math.inf)
UNLIMITED: Final = Range(-math.inf, math.inf)


def range_of(unit: str) -> Range:
    """Of a measure of one case: those without unit are shares (DSC, index, recall), the others lengths or amounts."""
    return NOT_NEGATIVE if unit else SHARE


@dataclass(frozen=True)
class Mean:
    """Mean, SD and 95 % CI (Student's t); all but the mean are None for one value, all for none.

    Attributes:
        note: where the interval was cut; empty where it was not.
    """

    n: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


def mean_with_interval(values: Sequence[float] | NDArray[Any], within: Range) -> Mean:
    """Mean of one-dimensional values of a measure that lies `within`."""
    n = len(values)
    if n == 0:
        return Mean(0)
    if n == 1:
        return Mean(1, float(values[0]))
    from statsmodels.stats.weightstats import DescrStatsW  # takes seconds to import: `wmh-node train` starts without

    described = DescrStatsW(np.asarray(values, np.float64), ddof=1)
    mean, sd = float(described.mean), float(described.std)
    if sd == 0:
        return Mean(n, mean, 0.0, mean, mean)
    low, high = map(float, described.tconfint_mean(alpha=ALPHA))
    passed = [
        end for end, is_passed in ((within.low, low < within.low), (within.high, high > within.high)) if is_passed
    ]
    ends = " and ".join(f"{end:g}" for end in passed)
    note = f"interval cut at {ends}, beyond which the mean cannot lie" if ends else ""
    return Mean(n, mean, sd, max(low, within.low), min(high, within.high), note)
