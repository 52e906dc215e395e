"""Intensities measured by the level of the brain, so that a few extreme pixels decide nothing.

The paper divides each slice by its own maximum: one hot pixel, a vessel or burnt-in text then changes the whole slice.
Here the whole volume is divided by one number, the brain's level: the highest peak of the histogram of logarithms in
the middle half of the image. The brain is the largest body of one brightness there; on a logarithmic scale the noise
of air is spread thin, and fat, eyes, hot pixels, black slices and padding are too few or too far from the middle.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.percentiles import percentile
from segmentation.preprocessing.slice_grid import Prepare
from segmentation.volume import Stored

_FLOOR_PERCENTILE: Final = 1.0
_BINS_PER_OCTAVE: Final = 16
_OCTAVES: Final = 10  # under the largest value; what is darker than a thousandth of it is no tissue
_SMOOTH_BINS: Final = 2.0
_LEAST_VOXELS: Final = 64
_HIGHEST_PERCENTILE: Final = 99.9


def intensity_floor(voxels: Stored) -> float:
    """The level of no signal: the 1st percentile, so that an offset of the whole image plays no part."""
    return percentile(voxels, _FLOOR_PERCENTILE)


def brain_level(voxels: Stored) -> float | None:
    """The brain's brightness above `intensity_floor`; None where the middle of the image has no signal.

    Args:
        voxels: (slice, row, column), native intensities.
    """
    rows, columns = voxels.shape[1:]
    inner = voxels[:, rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
    middle = np.subtract(inner, np.float32(intensity_floor(voxels)), dtype=np.float32)
    signal = middle[middle > 0]
    del middle  # each of these arrays is a quarter of the volume
    if signal.size < _LEAST_VOXELS:
        return None
    logarithms = np.log2(signal, out=signal)
    # Not the maximum: that may be one hot pixel, ten octaves above the brain. The order of the values is lost.
    top = float(np.percentile(logarithms, _HIGHEST_PERCENTILE, overwrite_input=True)) + 1
    counts, edges = np.histogram(logarithms, bins=_OCTAVES * _BINS_PER_OCTAVE, range=(top - _OCTAVES, top))
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), _SMOOTH_BINS, mode="constant")
    return float(2 ** _peak_place(smooth, edges))


def scale_by_brain(voxels: Stored, level: float, target: float, clip: float) -> Prepare:
    """What makes grey values of a slice: no signal becomes 0 and the brain's level `target`; clipped to 0 and `clip`
    times `target`.

    Args:
        voxels: (slice, row, column), the whole volume.
        level: of the brain, see `brain_level`.
        target: its grey value.
        clip: see above.
    """
    floor, scale = np.float32(intensity_floor(voxels)), np.float32(target / level)
    return lambda plane: np.asarray(np.clip((plane - floor) * scale, 0, clip * target), np.float32)


def _peak_place(counts: NDArray[np.float64], edges: NDArray[np.float64]) -> float:
    """Where the highest bin's peak lies, between bin centres by a parabola through its neighbours."""
    best = int(np.argmax(counts))
    left, here, right = np.pad(counts, 1)[best : best + 3].tolist()
    curvature = left - 2 * here + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(edges[best] + (0.5 + shift) * (edges[1] - edges[0]))
