"""Intensities measured inside the brain, and nothing else shown: scalp, padding, offset and scale cannot matter.

Centre and spread are robust statistics of the brain. Outside the brain, with a margin for a mask that is a little
tight, every pixel has one value, so that a scan whose skull was removed looks as it did before.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.preprocessing.slice_grid import Prepare
from segmentation.volume import FlairVolume

MARGIN_MM: Final = 4.0
LOWEST: Final = -4.0
"""Of the images, in SD; what lies outside the brain has it."""
HIGHEST: Final = 8.0
_PERCENTILES: Final = (1.0, 99.0)


def brain_statistics(values: NDArray[np.float32]) -> tuple[float, float]:
    """Median, and SD of what lies between the 1st and the 99th percentile; of any shape, not empty."""
    low, high = np.percentile(values, _PERCENTILES)
    spread = float(np.clip(values, low, high).std(dtype=np.float64))
    return float(np.median(values)), spread if spread > 0 else 1.0


def clipped_to_brain(volume: FlairVolume, brain: NDArray[np.bool_]) -> Prepare | None:
    """What cuts off a slice's intensities at what `masked_images` shows; None where the brain is empty.

    Before resampling: interpolation would spread a hot pixel over its neighbours.

    Args:
        volume: intensities.
        brain: bool (slice, row, column).
    """
    if not brain.any():
        return None
    centre, spread = brain_statistics(volume.inside(brain))
    lowest, highest = np.float32(centre + LOWEST * spread), np.float32(centre + HIGHEST * spread)
    return lambda plane: np.clip(plane, lowest, highest)


def masked_images(pixels: NDArray[np.float32], brain: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.float32]:
    """Networks' input: 0 at the brain's median, 1 an SD, `LOWEST` outside the brain and its margin.

    Args:
        pixels: float32 (slice, row, column), square grid.
        brain: bool, same shape.
        pixel_mm: of the square grid.

    Returns:
        All `LOWEST` where the brain is empty.
    """
    if not brain.any():
        return np.full(pixels.shape, LOWEST, np.float32)
    centre, spread = brain_statistics(pixels[brain])
    scaled = np.clip((pixels - centre) / spread, LOWEST, HIGHEST)
    return np.where(grown(brain, MARGIN_MM / pixel_mm), scaled, LOWEST).astype(np.float32)


def grown(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """The mask with its edge so many pixels further out in each slice; further in where negative."""
    reach = round(abs(pixels))
    if not reach:
        return mask
    rows, columns = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = (rows**2 + columns**2 <= (reach + 0.5) ** 2)[np.newaxis]
    change = ndimage.binary_dilation if pixels > 0 else ndimage.binary_erosion
    return np.asarray(change(mask, disc), bool)
