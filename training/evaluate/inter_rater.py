"""Agreement of human raters: mean DSC and r over all pairs of raters (paper: 5 raters, 135 scans).

The manual mask of a case (`wmh.nii.gz`) is one rater, each file under `raters/` another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.cases import LabelledCase
from training.dice import dice
from training.evaluate.correlation import FEWEST_FOR_R, correlation
from training.evaluate.document import InterRater
from training.evaluate.means import SHARE, mean_with_interval
from training.evaluate.paper import INTER_RATER_DSC
from training.evaluate.tests_of_difference import paired_t

FIRST_RATER: Final = "wmh"


@dataclass(frozen=True)
class RatedCase:
    """A case that several raters marked.

    Attributes:
        volumes_ml: rater -> WMH volume.
        mean_dsc: over all pairs of its raters.
        model_dsc: the model against the first rater.
    """

    volumes_ml: Mapping[str, float]
    mean_dsc: float
    model_dsc: float


def rate(case: LabelledCase, model_dsc: float) -> RatedCase | None:
    """Compare a case's raters; None when there is one only."""
    if not case.raters:
        return None
    masks: dict[str, NDArray[np.bool_]] = {FIRST_RATER: case.wmh, **case.raters}
    pairs = [dice(masks[first], masks[second]) for first, second in combinations(masks, 2)]
    volumes = {name: float(mask.sum()) * case.volume.voxel_volume_ml for name, mask in masks.items()}
    return RatedCase(volumes, float(np.mean(pairs)), model_dsc)


def inter_rater(rated: Sequence[RatedCase]) -> InterRater:
    """Sum up the cases that several raters marked; the model is compared with them on the same cases."""
    if not rated:
        note = "no case has a second rater: put masks into <case>/raters/<name>.nii.gz"
        return InterRater(paper_dsc=INTER_RATER_DSC, note=note)
    found = mean_with_interval([case.mean_dsc for case in rated], SHARE)
    test = paired_t([case.model_dsc for case in rated], [case.mean_dsc for case in rated])
    raters = sorted({name for case in rated for name in case.volumes_ml})
    mean_r = _mean_r(rated, raters)
    notes = [found.note, test.note]
    if mean_r is None:
        notes.append(f"no r: a pair of raters with at least {FEWEST_FOR_R} cases of different volumes is needed")
    return InterRater(
        raters=tuple(raters),
        cases=len(rated),
        mean_dsc=found.mean,
        ci_low=found.low,
        ci_high=found.high,
        mean_r=mean_r,
        model_dsc=float(np.mean([case.model_dsc for case in rated])),
        p=test.p,
        test=f"{test.name}, model against raters",
        paper_dsc=INTER_RATER_DSC,
        note="; ".join(note for note in notes if note),
    )


def _mean_r(rated: Sequence[RatedCase], raters: Sequence[str]) -> float | None:
    values = []
    for first, second in combinations(raters, 2):
        both = [case.volumes_ml for case in rated if first in case.volumes_ml and second in case.volumes_ml]
        if found := correlation([volumes[first] for volumes in both], [volumes[second] for volumes in both]):
            values.append(found.r)
    return float(np.mean(values)) if values else None
