"""Above which uncertainty index a model's results want a review, from scans that its ensemble never saw.

The paper's 0.35 is that of the paper's model. Another model is more or less sure of itself, so its limit is derived:
the lowest share of scans sent to review that still catches the wanted part of the poor ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.errors import BadCohort

POOR_BELOW_DSC: Final = 0.6
CATCH: Final = 0.8


@dataclass(frozen=True)
class ScoredScan:
    """One scan: the served uncertainty index and the DSC."""

    index: float
    dsc: float


@dataclass(frozen=True)
class ReviewLimit:
    """A limit and what it does on the scans that it was derived from.

    Attributes:
        limit: results with a higher index want a review.
        caught: part of the scans with a poor DSC that is sent to review.
        sent: part of all scans that is sent to review.
        correlation: Pearson's r of index and DSC; None where it is undefined.
        scans, poor: how many.
    """

    limit: float
    caught: float
    sent: float
    correlation: float | None
    scans: int
    poor: int


def derive_limit(
    groups: Sequence[Sequence[ScoredScan]], catch: float = CATCH, poor_below: float = POOR_BELOW_DSC
) -> ReviewLimit:
    """The highest limit that catches at least `catch` of the scans of each group whose DSC is below `poor_below`.

    Of each group: many drawn scans that are hard would else speak for the few real ones.

    Raises:
        BadCohort: no scan is that poor, so that nothing can be learnt of them.
    """
    scans = [scan for group in groups for scan in group]
    of_poor = [np.sort([scan.index for scan in group if scan.dsc < poor_below]) for group in groups]
    # So many of the poor of a group may stay at or under the limit.
    lowest = [indices[int(np.floor((1 - catch) * len(indices) + 1e-9))] for indices in of_poor if len(indices)]
    if not lowest:
        raise BadCohort(f"expected scans with a DSC under {poor_below:g}, got {len(scans)} scans without one")
    limit = float(np.nextafter(min(lowest), 0.0))
    index, dsc = np.array([scan.index for scan in scans]), np.array([scan.dsc for scan in scans])
    poor = dsc < poor_below
    varied = len(scans) > 2 and index.std() > 0 and dsc.std() > 0
    return ReviewLimit(
        limit=limit,
        caught=float((index[poor] > limit).mean()),
        sent=float((index > limit).mean()),
        correlation=float(np.corrcoef(index, dsc)[0, 1]) if varied else None,
        scans=len(scans),
        poor=int(poor.sum()),
    )
