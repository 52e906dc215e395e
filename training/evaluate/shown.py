"""The pictures of figure 2: one slice of a case, kept out of the JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


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
