"""How far what a mask holds lies under the skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.volume import FlairVolume


def least_depth_mm(volume: FlairVolume, mask: NDArray[np.bool_]) -> float:
    """The shortest way within a slice from what a brain's mask (slice, row, column) holds to the air.

    Of heads whose scalp is seen: it has to be brighter than a fifth of the brain.
    """
    head = volume.voxels > 0.2 * np.median(volume.voxels[mask])
    least = np.inf
    for inside, tissue in zip(mask, head, strict=True):
        if inside.any():
            filled = ndimage.binary_fill_holes(ndimage.binary_closing(tissue, iterations=8))
            depth = ndimage.distance_transform_edt(np.pad(filled, 1), volume.spacing_mm[1:])[1:-1, 1:-1]
            least = min(least, float(depth[inside].min()))
    return least
