"""Single FLAIR slices with acute infarcts marked, one a patient, each read as a volume of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.volume import FlairVolume
from training.errors import BadCohort

# So thick that one slice of a small brain is more than `LEAST_BRAIN_ML`: with less, no brain counts as found.
_SPACING_MM: Final = (10.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class MarkedSlice:
    """A volume of one slice, and its infarct, bool (row, column)."""

    name: str
    volume: FlairVolume
    infarct: NDArray[np.bool_]

    @classmethod
    def of(cls, name: str, plane: NDArray[np.uint8], infarct: NDArray[np.bool_]) -> MarkedSlice:
        """Of a plane (row, column) with pixels of 1 mm."""
        return cls(name, FlairVolume(plane[np.newaxis].astype(np.float32), _SPACING_MM), infarct)


def read_slices(file: Path, first: int, count: int) -> list[MarkedSlice]:
    """Slices of an npz with `flair` and `stroke_mask` (slice, row, column), by their numbers from 0.

    Raises:
        BadCohort: there are none so far.
    """
    with np.load(file, allow_pickle=False) as found:
        flair, masks = found["flair"][first : first + count], found["stroke_mask"][first : first + count] > 0
    if not len(flair):
        raise BadCohort(f"{file.name}: expected slices from number {first} on, it ends before")
    return [
        MarkedSlice.of(f"stroke-{first + place:04d}", plane, mask)
        for place, (plane, mask) in enumerate(zip(flair, masks, strict=True))
    ]
