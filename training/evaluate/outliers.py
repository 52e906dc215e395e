"""Cases far off the diagonal of figure 4, by name.

The paper picked six of 6013 by eye. Here: predicted - manual volume is compared with its mean over the cases by
externally studentised residuals, and a case is an outlier where their t test, times the number of cases (Bonferroni),
has P < .05 (a setting).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import statsmodels.api as sm

from training.evaluate.document import CaseRecord, Outlier
from training.evaluate.tests_of_difference import ALPHA

FEWEST: Final = 5


@dataclass(frozen=True)
class Outliers:
    """Outliers, the furthest first; without enough cases none, and the note says so."""

    outliers: tuple[Outlier, ...]
    note: str = ""


def find_outliers(records: Sequence[CaseRecord], alpha: float = ALPHA) -> Outliers:
    """Outliers of predicted - manual volume."""
    if len(records) < FEWEST:
        return Outliers((), f"no search for outliers: at least {FEWEST} cases are needed, there are {len(records)}")
    difference = np.array([record.predicted_ml - record.manual_ml for record in records])
    if np.ptp(difference) == 0:
        return Outliers(())
    influence = sm.OLS(difference, np.ones(len(difference))).fit().outlier_test(method="bonf")
    found = [
        Outlier(
            case=record.case,
            manual_ml=record.manual_ml,
            predicted_ml=record.predicted_ml,
            residual_ml=record.predicted_ml - record.manual_ml,
            score=float(score),
        )
        for record, (score, _, adjusted) in zip(records, np.asarray(influence), strict=True)
        if adjusted < alpha and np.isfinite(score)
    ]
    return Outliers(tuple(sorted(found, key=lambda outlier: -abs(outlier.residual_ml))))
