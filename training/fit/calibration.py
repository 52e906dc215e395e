"""Calibration: logits changed by one rule, so that on unseen patients 0.8 is right in eight of ten voxels.

Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) divides them by one number. The
threshold 0.5 is where it was: a mask of one member does not change, and the uncertainty index means the same for a
timid and for a bold training. Platt scaling (Platt, Advances in Large Margin Classifiers 1999) also moves them by one
number: where a training ranks voxels well and marks too much or too little of them, the amount becomes right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.cases import LabelledCase

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Normalised slices (slice, row, column) in, one member's probabilities of the same shape out."""


@dataclass(frozen=True)
class Calibration:
    """A logit becomes (logit - `shift`) / `temperature`."""

    temperature: float
    shift: float = 0.0


_RANGE: Final = (0.25, 8.0)
_SHIFTS: Final = (-12.0, 12.0)
_CERTAIN: Final = 1e-7  # float32 sigmoids end there
_BINS: Final = 8192
_LIMIT: Final = float(special.logit(1 - _CERTAIN))


class LogitCounts:
    """How often each logit was given, apart for WMH and other voxels: what a temperature is fitted to.

    Bins of 0.004 from -16.1 to 16.1: in constant memory for any number of cases.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, _BINS))

    def add(self, probabilities: NDArray[Any], labels: NDArray[np.bool_]) -> None:
        """Count voxels of one more case.

        Args:
            probabilities: any shape.
            labels: the same shape.
        """
        if probabilities.shape != labels.shape:
            raise ValueError(f"expected labels of shape {probabilities.shape}, got {labels.shape}")
        logits = special.logit(np.clip(probabilities.astype(np.float64), _CERTAIN, 1 - _CERTAIN)).clip(-_LIMIT, _LIMIT)
        for is_wmh in (False, True):
            found, _ = np.histogram(logits[labels == is_wmh], _BINS, (-_LIMIT, _LIMIT))
            self._counts[int(is_wmh)] += found

    def __len__(self) -> int:
        """Voxels so far."""
        return int(self._counts.sum())

    def calibration(self, *, shifts: bool = False) -> Calibration:
        """The one with the smallest cross-entropy: a temperature between 0.25 and 8, a shift within 12.

        Args:
            shifts: look for a shift too.

        Raises:
            ValueError: no voxel was counted.
        """
        if not len(self):
            raise ValueError("expected at least one voxel, got none")
        edges = np.linspace(-_LIMIT, _LIMIT, _BINS + 1)
        centres = (edges[:-1] + edges[1:]) / 2

        def cross_entropy(log_temperature: float, shift: float = 0.0) -> float:
            # The cost of a voxel grows with the logit on the wrong side.
            moved = (centres - shift) / np.exp(log_temperature)
            return float(np.average(np.logaddexp(0, np.stack([moved, -moved])), weights=self._counts))

        bounds = tuple(np.log(_RANGE))
        alone = optimize.minimize_scalar(cross_entropy, bounds=bounds, method="bounded")
        if not shifts:
            return Calibration(float(np.exp(alone.x)))
        found = optimize.minimize(
            lambda both: cross_entropy(*both), (alone.x, 0.0), bounds=(bounds, _SHIFTS), method="L-BFGS-B"
        )
        return Calibration(float(np.exp(found.x[0])), float(found.x[1]))


def held_out_calibration(
    pairs: Iterable[tuple[LabelledCase, Predict]], settings: PreprocessingSettings, *, shifts: bool = False
) -> Calibration | None:
    """One calibration for all members, on the brains of cases that each never saw, without what is ignored there.

    Args:
        pairs: a case, and a member that was trained without its patient; a case may come with several members.
        settings: the members' input contract.
        shifts: see `LogitCounts.calibration`.

    Returns:
        None when there is no such case.
    """
    counts = LogitCounts()
    for case, predict in pairs:
        ready = preprocess(case.volume, settings, case.brain)
        counted = ready.brain_mask
        if case.ignore is not None:
            counted = counted & ~ready.grid.mask_to_square(case.ignore)
        counts.add(predict(ready.images)[counted], ready.grid.mask_to_square(case.wmh)[counted])
    return counts.calibration(shifts=shifts) if len(counts) else None


def fold_in(model: Any, calibration: Calibration) -> None:
    """Change the last layer of a Keras model, a 1x1 convolution before the sigmoid, so that it gives calibrated logits.

    After it no runtime needs to know of the calibration.
    """
    last = model.layers[-1]
    kernel, bias = last.get_weights()
    temperature, shift = np.float32(calibration.temperature), np.float32(calibration.shift)
    last.set_weights([kernel / temperature, (bias - shift) / temperature])
