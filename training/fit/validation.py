"""Validation DSC after each epoch, on the square grid of the networks: watched, never used to choose weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.case import preprocess
from training.data.cases import Case
from training.data.presets import Recipe
from training.dice import dice
from training.fit.devices import fill_up

_THRESHOLD: Final = 0.5
_BATCH: Final = 4


@dataclass(frozen=True)
class ValidationCases:
    """Cases ready to be predicted.

    Attributes:
        images: float32 (slice, row, column), slices of all cases, those without brain left out.
        labels: bool, the same shape.
        ends: per case, the index after its last slice.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.bool_]
    ends: tuple[int, ...]

    def dsc(self, model: Any, devices: int = 1) -> float:
        """Mean DSC over the cases (rule for empty masks: `training.dice`) of a Keras model for whole slices."""
        batch = _BATCH * devices
        probabilities = model.predict(fill_up(self.images, batch)[..., None], batch_size=batch, verbose=0)
        found = np.asarray(probabilities, np.float32)[: len(self.images), ..., 0] >= _THRESHOLD
        starts = (0, *self.ends[:-1])
        return float(np.mean([dice(found[a:b], self.labels[a:b]) for a, b in zip(starts, self.ends, strict=True)]))


def build_validation(cases: Sequence[Case], recipe: Recipe, most: int) -> ValidationCases | None:
    """Preprocess at most `most` of the cases, evenly spread over WMH volume, so that an epoch stays cheap.

    None where there is no case.
    """
    chosen = _spread(sorted(cases, key=lambda case: (case.wmh_ml, case.name)), most)
    if not chosen:
        return None
    images, labels = [], []
    for case in (found.load() for found in chosen):
        ready = preprocess(case.volume, recipe.preprocessing, case.brain)
        kept = ready.brain_mask.any(axis=(1, 2))
        images.append(ready.images[kept])
        labels.append(ready.grid.mask_to_square(case.label(recipe.target))[kept])
    ends = np.cumsum([len(image) for image in images])
    return ValidationCases(np.concatenate(images), np.concatenate(labels), tuple(int(end) for end in ends))


def _spread(ordered: Sequence[Case], most: int) -> list[Case]:
    if len(ordered) <= most:
        return list(ordered)
    return [ordered[index] for index in np.linspace(0, len(ordered) - 1, most).round().astype(int)]
