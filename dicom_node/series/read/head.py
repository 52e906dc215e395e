"""Is anything to be seen in a volume that its headers call a head?

A coil that was not connected, or a preparation scan under the name of a FLAIR, gives noise, and a network finds lesions
in noise. In noise, what one place shows says nothing about the place beside it; in a head, bright tissue lies beside
bright tissue, and air beside air. So the intensities are averaged over blocks of a centimetre, and those of
neighbouring blocks in a slice are compared.

Measured (correlation of neighbours): real FLAIR at 1.5 and 3 T 0.70 to 0.93; phantoms 0.73 to 0.80, with 17 times
their noise 0.54; noise 0.00, and 0.25 when it is smoothed by 7 mm; a scan of noise at 64 mT -0.02.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_node.node.errors import NotFlair
from segmentation.percentiles import percentile
from segmentation.volume import Stored, as_float

_BLOCK_MM: Final = 10.0
_LEAST_LIKENESS: Final = 0.35
# A few bright vessels or an artefact must not outweigh the head.
_BRIGHTEST_PERCENTILE: Final = 99.5


def require_head(voxels: Stored, spacing_mm: tuple[float, float, float]) -> None:
    """Refuse a volume that shows no more than noise.

    Args:
        voxels: (slice, row, column).
        spacing_mm: (slice, row, column).

    Raises:
        NotFlair: says what was expected and what came.
    """
    likeness = neighbour_likeness(voxels, spacing_mm)
    if likeness < _LEAST_LIKENESS:
        raise NotFlair(
            "no_head_visible",
            "The images show no head: places a centimetre apart resemble each other no more than in noise (correlation "
            f"{likeness:.2f}; a head has 0.7 or more, expected is at least {_LEAST_LIKENESS}). Check the coil and the "
            "images at the scanner.",
        )


def neighbour_likeness(voxels: Stored, spacing_mm: tuple[float, float, float]) -> float:
    """Correlation of neighbouring blocks of a centimetre within slices, -1 to 1; 1 where there is nothing to compare.

    Args:
        voxels: (slice, row, column).
        spacing_mm: (slice, row, column).
    """
    blocks = _blocks(voxels, spacing_mm)
    down, right = blocks[:, 1:, :], blocks[:, :, 1:]
    one = np.concatenate([blocks[:, :-1, :].ravel(), blocks[:, :, :-1].ravel()])
    other = np.concatenate([down.ravel(), right.ravel()])
    if one.size < 2 or one.std() == 0 or other.std() == 0:
        return 1.0
    return float(np.corrcoef(one, other)[0, 1])


def _blocks(voxels: Stored, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Means over blocks of one slice, (slice, block row, block column)."""
    rows, columns = (max(1, round(_BLOCK_MM / spacing)) for spacing in spacing_mm[1:])
    slices, height, width = len(voxels), voxels.shape[1] // rows, voxels.shape[2] // columns
    brightest = np.float32(percentile(voxels, _BRIGHTEST_PERCENTILE))
    means = np.empty((slices, height, width))
    for index, plane in enumerate(voxels):
        parts = np.minimum(as_float(plane[: height * rows, : width * columns]), brightest)
        means[index] = parts.reshape(height, rows, width, columns).mean(axis=(1, 3), dtype=np.float64)
    return means
