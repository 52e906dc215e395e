"""One FLAIR volume in, one segmentation on the same grid out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.ensemble import Ensemble
from segmentation.measures import Measures, measure
from segmentation.preprocessing.case import preprocess
from segmentation.volume import FlairVolume

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total): `preprocess` and `measure` count 0 to 1, `infer` counts slices."""


@dataclass(frozen=True)
class StageSeconds:
    """Wall time of each stage in seconds, by a monotonic clock."""

    preprocess: float
    infer: float
    measure: float


@dataclass(frozen=True)
class Segmentation:
    """What the ensemble says of one FLAIR volume.

    Attributes:
        mask: bool (slice, row, column), native grid: probability at or above the bundle's threshold.
        probability: float32, same shape: the members' mean, mapped back to the native grid.
        measures: volume, lesion count, uncertainty.
        seconds: wall time of the stages.
        flags: what was unusual about the case, sorted slugs such as `blank_slices` or `no_histogram_peak`.
    """

    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    measures: Measures
    seconds: StageSeconds
    flags: tuple[str, ...]


def segment_volume(volume: FlairVolume, ensemble: Ensemble, progress: Progress | None = None) -> Segmentation:
    """Segment white matter hyperintensities.

    The members' probabilities are averaged before they are mapped back: the mapping is linear, so the order makes no
    difference but to the time it takes. The same volume gives the same bits every time on one machine.
    """
    report = progress or _silent

    report("preprocess", 0, 1)
    started = time.monotonic()
    case = preprocess(volume, ensemble.preprocessing)
    prepared = time.monotonic()
    report("preprocess", 1, 1)

    members = ensemble.predict(case.images, lambda done, total: report("infer", done, total))
    inferred = time.monotonic()

    report("measure", 0, 1)
    probability = case.grid.to_native(mean_probability(members))
    mask = probability >= ensemble.threshold
    measures = measure(mask, probability, volume.voxel_volume_ml)
    measured = time.monotonic()
    report("measure", 1, 1)

    seconds = StageSeconds(prepared - started, inferred - prepared, measured - inferred)
    return Segmentation(mask, probability, measures, seconds, case.flags)


def mean_probability(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the first axis of (member, slice, row, column), summed in float64."""
    mean: NDArray[np.float32] = members.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
