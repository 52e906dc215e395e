"""Splits by patient: the same patient is never on two sides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from training.data.cases import Case
from training.errors import BadCohort

# Of the shared MS cases: `wmh-node train` draws the same ones with its default --seed.
FOLDS: Final = 5
FOLD_SEED: Final = 2024


def shared_patients() -> Path:
    """Which of the shared training cases are one patient."""
    return Path(str(resources.files("training") / "data" / "patients" / "ms3seg.csv"))


def leave_patients_out(cases: Sequence[Case], folds: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Patients held out by each fold: every patient exactly once, the folds alike in WMH volume.

    Patients are sorted by volume and dealt in shuffled groups of `folds`, so that no fold holds only small lesions.
    """
    volumes: dict[str, float] = {}
    for case in cases:
        volumes[case.patient] = max(volumes.get(case.patient, 0.0), case.wmh_ml)
    if len(volumes) < folds:
        raise BadCohort(f"expected at least {folds} patients for {folds} folds, got {len(volumes)}")
    by_volume = sorted(volumes, key=lambda patient: (volumes[patient], patient))
    generator = np.random.default_rng(seed)
    held_out: list[list[str]] = [[] for _ in range(folds)]
    for start in range(0, len(by_volume), folds):
        group = by_volume[start : start + folds]
        for fold, patient in zip(generator.permutation(folds)[: len(group)], group, strict=True):
            held_out[fold].append(patient)
    return tuple(tuple(sorted(patients)) for patients in held_out)
