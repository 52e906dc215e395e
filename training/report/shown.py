"""One slice of a case, small enough to keep for every case, for the figure of representative cases (paper, Fig 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.uncertainty import UNCERTAIN_BELOW_BITS, confidence_bits, uncertainty_index
from segmentation.volume import FlairVolume
from training.dice import dice
from training.errors import BadCase


@dataclass(frozen=True)
class ShownCase:
    """The slice of a case that holds most lesion, with what the reader and the model marked on it.

    Attributes:
        case: the case's id (no patient name).
        slice_index: which slice of the volume, from 0.
        flair: float32 (row, column), raw intensities.
        manual: bool (row, column), the reader's WMH.
        predicted: bool (row, column), the model's WMH.
        uncertain: bool (row, column), predicted pixels whose confidence is under 0.5 bit.
        pixel_mm: distance of pixel centres in mm, (row, column).
        dsc: Dice coefficient of the whole case, 0..1.
        uncertainty_index: of the whole case, 0..1; None when nothing is predicted.
    """

    case: str
    slice_index: int
    flair: NDArray[np.float32]
    manual: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]
    pixel_mm: tuple[float, float]
    dsc: float
    uncertainty_index: float | None

    def __post_init__(self) -> None:
        """Every layer lies on the slice."""
        for name in ("manual", "predicted", "uncertain"):
            shape = getattr(self, name).shape
            if shape != self.flair.shape:
                raise BadCase(f"{self.case}: expected the {name} layer's shape {self.flair.shape}, got {shape}")

    @classmethod
    def of(
        cls,
        case: str,
        volume: FlairVolume,
        manual: NDArray[np.bool_],
        predicted: NDArray[np.bool_],
        probability: NDArray[Any],
    ) -> ShownCase:
        """Take the slice with the most manual lesion (predicted lesion where the reader marked none).

        Args:
            case: id of the case.
            volume: the FLAIR, (slice, row, column).
            manual: bool, same shape.
            predicted: bool, same shape.
            probability: the ensemble's mean probability, same shape.

        Raises:
            BadCase: the arrays differ in shape.
        """
        for name, array in (("manual", manual), ("predicted", predicted), ("probability", probability)):
            if array.shape != volume.voxels.shape:
                raise BadCase(f"{case}: expected the {name} array's shape {volume.voxels.shape}, got {array.shape}")
        source = manual if manual.any() else predicted
        index = int(source.sum(axis=(1, 2)).argmax()) if source.any() else volume.voxels.shape[0] // 2
        doubtful = predicted[index] & (confidence_bits(probability[index]) < UNCERTAIN_BELOW_BITS)
        return cls(
            case=case,
            slice_index=index,
            flair=volume.voxels[index].copy(),
            manual=manual[index].copy(),
            predicted=predicted[index].copy(),
            uncertain=doubtful,
            pixel_mm=(volume.spacing_mm[1], volume.spacing_mm[2]),
            dsc=dice(predicted, manual),
            uncertainty_index=uncertainty_index(probability, predicted),
        )
