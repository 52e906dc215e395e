"""Lesion by lesion: how many manual lesions are found, how many predicted ones are real.

A lesion is a 26-connected component, as in `segmentation.measures`. A manual lesion is found when one predicted voxel
lies in it; a predicted lesion is real when one manual voxel lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_NEIGHBOURS: Final = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class LesionCounts:
    """Counts of one case.

    Attributes:
        manual: manual lesions.
        predicted: predicted lesions.
        found: manual lesions that a predicted voxel touches.
        real: predicted lesions that a manual voxel touches.
    """

    manual: int
    predicted: int
    found: int
    real: int

    @property
    def recall(self) -> float | None:
        """Found / manual; None without manual lesions."""
        return self.found / self.manual if self.manual else None

    @property
    def precision(self) -> float | None:
        """Real / predicted; None without predicted lesions."""
        return self.real / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and precision; 0 when both are 0; None when one is undefined."""
        if self.recall is None or self.precision is None:
            return None
        total = self.recall + self.precision
        return 2 * self.recall * self.precision / total if total else 0.0


def count_lesions(predicted: NDArray[np.bool_], manual: NDArray[np.bool_]) -> LesionCounts:
    """Compare the lesions of two masks (slice, row, column)."""
    manual_labels, manual_count = ndimage.label(manual, structure=_NEIGHBOURS)
    predicted_labels, predicted_count = ndimage.label(predicted, structure=_NEIGHBOURS)
    both = predicted & manual
    return LesionCounts(
        manual=int(manual_count),
        predicted=int(predicted_count),
        found=len(np.unique(manual_labels[both])),
        real=len(np.unique(predicted_labels[both])),
    )
