"""Words that every number on periventricular and deep WMH shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from segmentation.regions import DistanceRule
from training.evaluate.document import CaseRecord

NO_VENTRICLES: Final = "no case has a ventricle mask that is not empty, and the model predicts no ventricles"
MANUAL: Final = "manual ventricles"
PREDICTED: Final = "predicted ventricles"


def in_3d(rule: DistanceRule) -> str:
    """What follows a distance that is not taken as published, in the plane of the slice: `10 mm in 3D`."""
    return " in 3D" if rule == "3d" else ""


def rule_in_words(rule: DistanceRule) -> str:
    """The rule as a setting."""
    return "3d (in space; the paper: 2d)" if rule == "3d" else "2d (in the plane of the slice, as in the paper)"


def dividers_in_words(records: Sequence[CaseRecord]) -> str:
    """Which ventricles divided the WMH: `manual ventricles in 8 cases, predicted ventricles in 3, none in 1`."""
    counts = Counter(record.regions_by or "none" for record in records)
    return ", ".join(f"{name} in {counts[name]}" for name in (MANUAL, PREDICTED, "none") if counts[name])
