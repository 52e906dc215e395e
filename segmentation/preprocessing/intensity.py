"""Grey values: slice scaling, histogram peak, brain mask, normalisation (paper, "Data Preprocessing")."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.preprocessing.settings import PreprocessingSettings

GREY_LEVELS = 256


def scale_slices(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each slice divided by its own maximum, to 0-255; a slice without a positive value becomes zero.

    Negative values are clipped: MR magnitude has none, and resampling undershoot would wrap in uint8.
    """
    peaks = pixels.max(axis=(1, 2), keepdims=True)
    safe = np.where(peaks > 0, peaks, 1)
    return np.where(peaks > 0, np.clip(pixels, 0, None) / safe * 255.0, 0).astype(np.float32)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Rounded and clipped to 0-255, so that cubic overshoot never wraps."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def histogram_peak(grey: NDArray[np.uint8], settings: PreprocessingSettings) -> float | None:
    """Centre of the histogram peak to be moved to the target, or None when the histogram has no peak.

    By the rule `highest` the background has no say: on real scans its peak, near 0, is the highest of all.
    """
    counts, edges = np.histogram(grey[grey > 0], bins=settings.bins, range=(0, GREY_LEVELS))
    # A zero at both ends lets a peak stand in the first or the last bin.
    peaks = find_peaks(np.pad(counts, 1)) - 1
    if not len(peaks):
        return None
    centres = (edges[:-1] + edges[1:]) / 2
    if settings.peak == "highest":
        peaks = peaks[centres[peaks] > background_limit(counts, centres)]
        return float(centres[peaks[np.argmax(counts[peaks])]]) if len(peaks) else None
    return float(centres[peaks[np.argmin(np.abs(centres[peaks] - settings.peak_target))]])


def background_limit(counts: NDArray[np.integer[Any]], centres: NDArray[np.floating[Any]]) -> float:
    """Grey value under which a histogram is background: half of what parts it best into dark and bright (Otsu 1979)."""
    below = np.cumsum(counts).astype(np.float64)
    sums = np.cumsum(counts * centres)
    share = below / max(below[-1], 1.0)
    spread = share * (1 - share)
    between = np.where(spread > 0, (sums[-1] / max(below[-1], 1.0) * share - sums / max(below[-1], 1.0)) ** 2, 0.0)
    between = np.divide(between, spread, out=np.zeros_like(between), where=spread > 0)
    return float(centres[np.argmax(between)]) / 2


def find_peaks(values: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """Indices of the local maxima of a sequence, ascending; of a plateau its middle, rounded down. Ends are no peaks.

    What `scipy.signal.find_peaks` gives without conditions; importing that costs a worker a second.
    """
    values = np.asarray(values)
    if values.size < 3:
        return np.zeros(0, np.intp)
    starts = np.flatnonzero(np.concatenate(([True], np.diff(values) != 0)))  # of runs of one value
    ends = np.append(starts[1:], values.size) - 1
    heights = values[starts]
    inner = np.flatnonzero((heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])) + 1
    return np.asarray((starts[inner] + ends[inner]) // 2, np.intp)


def brain_mask(grey: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Pixels above the threshold, holes filled slice by slice; (slice, row, column)."""
    return np.stack([ndimage.binary_fill_holes(slice_ > threshold) for slice_ in grey])


def normalise(grey: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean 0 and SD 1 inside the mask; the same shift and scale for the whole case."""
    inside = grey[mask]
    if inside.size == 0:
        return np.zeros_like(grey)
    deviation = float(inside.std(dtype=np.float64))
    mean = float(inside.mean(dtype=np.float64))
    centred = np.subtract(grey, np.float32(mean), dtype=np.float32)
    centred /= np.float32(deviation if deviation > 0 else 1.0)
    return centred
