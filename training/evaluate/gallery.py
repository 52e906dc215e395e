"""The pictures of figure 2: the slices of lowest and of highest uncertainty, kept while cases go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segmentation.segment import Segmentation
from segmentation.uncertainty import confidence_bits
from training.data.cases import LabelledCase
from training.evaluate.document import CaseRecord, RepresentativeCase


@dataclass(frozen=True)
class ShownCase:
    """One slice, the one with most WMH (manual or predicted).

    Attributes:
        case: name of the case.
        level: among the lowest or the highest uncertainty indices of the evaluated cases.
        slice_index: from 0.
        uncertainty_index: of the whole case.
        dsc: of the whole case.
        image: float32 (row, column), FLAIR intensities as read.
        manual: bool, same shape.
        predicted: bool, same shape.
        uncertainty: float32, same shape: 1 - KL in bits, 0 (sure) to 1 (p = 0.5).
        pixel_mm: spacing (row, column).
    """

    case: str
    level: Literal["low", "high"]
    slice_index: int
    uncertainty_index: float
    dsc: float
    image: NDArray[np.float32]
    manual: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    uncertainty: NDArray[np.float32]
    pixel_mm: tuple[float, float]

    def __post_init__(self) -> None:
        """All arrays are of one slice."""
        shapes = {array.shape for array in (self.image, self.manual, self.predicted, self.uncertainty)}
        if len(shapes) != 1 or self.image.ndim != 2:
            raise ValueError(f"expected four arrays (row, column) of one shape, got {sorted(shapes)}")


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

    def candidates(self, records: Sequence[CaseRecord]) -> tuple[str, ...]:
        """Cases whose pictures would be kept if all of these were offered."""
        ranked = sorted(
            (record for record in records if record.uncertainty_index is not None),
            key=lambda record: record.uncertainty_index or 0.0,
        )
        return tuple(dict.fromkeys(record.case for record in (*ranked[: self._each], *ranked[::-1][: self._each])))

    @property
    def shown(self) -> tuple[ShownCase, ...]:
        """Lowest index first; with few cases each stands on one side only."""
        ranked = sorted(
            {picture.case: picture for picture in (*self._low, *self._high)}.values(), key=lambda s: s.uncertainty_index
        )
        low = min(self._each, (len(ranked) + 1) // 2)
        return tuple(replace(picture, level="low" if place < low else "high") for place, picture in enumerate(ranked))

    @property
    def representatives(self) -> tuple[RepresentativeCase, ...]:
        """The same without pictures, for the document."""
        return tuple(
            RepresentativeCase(
                case=picture.case,
                level=picture.level,
                slice_index=picture.slice_index,
                uncertainty_index=picture.uncertainty_index,
                dsc=picture.dsc,
            )
            for picture in self.shown
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
