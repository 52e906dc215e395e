"""Calibration: logits changed by one rule, so that on unseen patients 0.8 is right in eight of ten voxels.

Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) divides them by one number. The
threshold 0.5 is where it was: a mask of one member does not change, and the uncertainty index means the same for a
timid and for a bold training. A shift comes before it where a training ranks voxels well and marks too much or too
little of them: the logit with the best mean DSC becomes the threshold. The shift of the smallest cross-entropy (Platt
scaling) is no substitute: calibrated probabilities have their best DSC at half of that DSC, not at 0.5 (Lipton et al.,
"Optimal thresholding of classifiers to maximize F1 measure", ECML 2014), and masks come out too small.
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
_CERTAIN: Final = 1e-7  # float32 sigmoids end there
_BINS: Final = 8192
_LIMIT: Final = float(special.logit(1 - _CERTAIN))
_BINS_A_CUT: Final = 16
_NEAR_BEST: Final = 0.002  # of DSC: the middle of the cuts that are so good is taken, not the luckiest one


class LogitCounts:
    """How often each logit was given, apart for WMH and other voxels: what a calibration is fitted to.

    Bins of 0.004 from -16.1 to 16.1, and for each patient the DSC at 512 cuts: in constant memory for any number of
    voxels.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, _BINS))
        self._dice: dict[str, tuple[NDArray[np.float64], int]] = {}

    def add(self, probabilities: NDArray[Any], labels: NDArray[np.bool_], patient: str = "") -> None:
        """Count voxels of one more case.

        Args:
            probabilities: any shape.
            labels: the same shape.
            patient: whose they are; cases of one patient count once, by their mean.
        """
        if probabilities.shape != labels.shape:
            raise ValueError(f"expected labels of shape {probabilities.shape}, got {labels.shape}")
        logits = special.logit(np.clip(probabilities.astype(np.float64), _CERTAIN, 1 - _CERTAIN)).clip(-_LIMIT, _LIMIT)
        found = np.stack([np.histogram(logits[labels == kind], _BINS, (-_LIMIT, _LIMIT))[0] for kind in (False, True)])
        self._counts += found
        if found[1].any():
            curve, cases = self._dice.get(patient, (np.zeros(_BINS // _BINS_A_CUT), 0))
            self._dice[patient] = curve + _dice_by_cut(found), cases + 1

    def __len__(self) -> int:
        """Voxels so far."""
        return int(self._counts.sum())

    def calibration(self, *, shifts: bool = False) -> Calibration:
        """The temperature between 0.25 and 8 with the smallest cross-entropy, after the shift, if there is one.

        Args:
            shifts: move the logits by the one with the best DSC, the mean of the patients with WMH.

        Raises:
            ValueError: no voxel was counted.
        """
        if not len(self):
            raise ValueError("expected at least one voxel, got none")
        edges = np.linspace(-_LIMIT, _LIMIT, _BINS + 1)
        centres = (edges[:-1] + edges[1:]) / 2
        shift = self._best_cut(edges) if shifts and self._dice else 0.0

        def cross_entropy(log_temperature: float) -> float:
            # The cost of a voxel grows with the logit on the wrong side.
            moved = (centres - shift) / np.exp(log_temperature)
            return float(np.average(np.logaddexp(0, np.stack([moved, -moved])), weights=self._counts))

        found = optimize.minimize_scalar(cross_entropy, bounds=tuple(np.log(_RANGE)), method="bounded")
        return Calibration(float(np.exp(found.x)), shift)

    def _best_cut(self, edges: NDArray[np.float64]) -> float:
        mean = np.mean([curve / cases for curve, cases in self._dice.values()], axis=0)
        good = edges[:-1:_BINS_A_CUT][mean >= mean.max() - _NEAR_BEST]
        return float((good[0] + good[-1]) / 2)


def _dice_by_cut(counts: NDArray[np.int_]) -> NDArray[np.float64]:
    """DSC of what lies at or above each cut, from counts of logits: (other or WMH, bin)."""
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, ::_BINS_A_CUT].astype(np.float64)
    return np.asarray(2 * above[1] / (above.sum(axis=0) + counts[1].sum()), np.float64)


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
        counts.add(predict(ready.images)[counted], ready.grid.mask_to_square(case.wmh)[counted], case.patient)
    return counts.calibration(shifts=shifts) if len(counts) else None


def fold_in(model: Any, calibration: Calibration) -> None:
    """Change the last layer of a Keras model, a 1x1 convolution before the sigmoid, so that it gives calibrated logits.

    After it no runtime needs to know of the calibration.
    """
    last = model.layers[-1]
    kernel, bias = last.get_weights()
    temperature, shift = np.float32(calibration.temperature), np.float32(calibration.shift)
    last.set_weights([kernel / temperature, (bias - shift) / temperature])
