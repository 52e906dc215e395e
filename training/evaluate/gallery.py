"""Keeps the slices of figure 2 while cases go by: those of lowest and of highest uncertainty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segmentation.segment import Segmentation
from segmentation.uncertainty import confidence_bits
from training.data.cases import LabelledCase
from training.evaluate.document import RepresentativeCase
from training.evaluate.shown import ShownCase


class Gallery:
    """At most `size` slices at any time, however many cases go by."""

    def __init__(self, size: int = 6) -> None:
        self._each = max(1, size // 2)
        self._low: list[ShownCase] = []
        self._high: list[ShownCase] = []

    def offer(self, case: LabelledCase, segmentation: Segmentation, dsc: float) -> None:
        """Look at one case; one without a predicted voxel has no uncertainty index and is passed by."""
        index = segmentation.measures.uncertainty_index
        if index is None:
            return
        shown = _slice_of(case, segmentation, index, dsc)
        self._low = sorted([*self._low, shown], key=lambda one: one.uncertainty_index)[: self._each]
        self._high = sorted([*self._high, shown], key=lambda one: -one.uncertainty_index)[: self._each]

    @property
    def shown(self) -> tuple[ShownCase, ...]:
        """Lowest index first; with few cases each stands on one side only."""
        ranked = sorted(
            {one.case: one for one in (*self._low, *self._high)}.values(), key=lambda s: s.uncertainty_index
        )
        low = min(self._each, (len(ranked) + 1) // 2)
        return tuple(replace(one, level="low" if place < low else "high") for place, one in enumerate(ranked))

    @property
    def representatives(self) -> tuple[RepresentativeCase, ...]:
        """The same without pictures, for the document."""
        return tuple(
            RepresentativeCase(
                case=one.case,
                level=one.level,
                slice_index=one.slice_index,
                uncertainty_index=one.uncertainty_index,
                dsc=one.dsc,
            )
            for one in self.shown
        )


def _slice_of(case: LabelledCase, segmentation: Segmentation, index: float, dsc: float) -> ShownCase:
    number = int(np.argmax((case.wmh | segmentation.mask).sum(axis=(1, 2))))
    return ShownCase(
        case=case.name,
        level="low",
        slice_index=number,
        uncertainty_index=index,
        dsc=dsc,
        image=case.volume.voxels[number].copy(),
        manual=case.wmh[number].copy(),
        predicted=segmentation.mask[number].copy(),
        uncertainty=(1 - confidence_bits(segmentation.probability[number])).astype(np.float32),
        pixel_mm=case.volume.spacing_mm[1:],
    )
