"""Plain thresholding: what a reader would have without any network.

Rule: in the inner head, a pixel is WMH when it lies 3.5 robust SD or more above the tissue's mode. 3.5 SD above the
mean of brain is the rule of DeCarli's group (DeCarli et al., Stroke 1999;30:529; Yoshita, Fletcher, DeCarli, Top Magn
Reson Imaging 2005;16:399), which had removed skull and fluid before. Here nothing removes them, so that mode and spread
are robust, slice by slice: the mode is the tissue's peak, and the spread is taken on its bright side only, where there
is no fluid. The outer fifth of the head (scalp, skull) is left out. Nothing is tuned on any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.anatomy import Anatomy
from segmentation.bundle import ModelIdentity
from segmentation.ensemble import Ensemble
from segmentation.evidence import GENERAL_LIMITS
from segmentation.measures import REVIEW_ABOVE
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume

SD_ABOVE_MODE: Final = 3.5
RIM: Final = 0.2
"""Depth of what is left out (scalp, skull, cortex), as a share of the head's deepest pixel's depth."""
_BINS: Final = 64
_MAD_TO_SD: Final = 1.4826  # of a normal distribution
_VERSION: Final = "1.0.0"


def threshold_wmh(images: NDArray[np.float32], settings: PreprocessingSettings) -> NDArray[np.bool_]:
    """Mark WMH by brightness alone.

    Args:
        images: float32 (slice, size, size) of one case, from `segmentation.preprocessing`.
        settings: the input contract that they were prepared by.

    Returns:
        bool, same shape; nothing is marked where the case has no head or no contrast.
    """
    inner = _inner_head(images, settings)
    return np.stack([_bright(image, inside) for image, inside in zip(images, inner, strict=True)])


class ThresholdMethod(Ensemble):
    """The rule behind the ensemble's seam: one "member", whose probabilities are 0 and 1."""

    def __init__(self, preprocessing: PreprocessingSettings | None = None) -> None:
        self.preprocessing = preprocessing or PreprocessingSettings()
        # No file to hash: the rule's constants stand for its bytes.
        rule = f"threshold {_VERSION}: {SD_ABOVE_MODE} SD, rim {RIM}, {_BINS} bins; {self.preprocessing}"
        self.identity = ModelIdentity("threshold", _VERSION, hashlib.sha256(rule.encode()).hexdigest())
        self.members = 1
        self.size = self.preprocessing.size
        self.threshold = 0.5
        self.ventricle_threshold = 1.0
        self.review_above = REVIEW_ABOVE
        self.predictive = None
        self.intensity_limits = GENERAL_LIMITS

    @property
    def runtime(self) -> str:
        """No network runs."""
        return "numpy"

    @property
    def precision(self) -> str:
        """Arithmetic of the comparison."""
        return "f32"

    def predict(
        self, images: NDArray[np.float32], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """0 or 1 for every pixel.

        Args:
            images: float32 (slice, size, size) of one whole case: mode and spread are the case's own.
            progress: called with (slices done, slices in all).

        Returns:
            float32 (1, slice, size, size).
        """
        if images.ndim != 3 or images.shape[1:] != (self.size, self.size):
            raise ValueError(f"expected images (slice, {self.size}, {self.size}), got {images.shape}")
        if progress:
            progress(0, len(images))
        marked = threshold_wmh(images, self.preprocessing)[np.newaxis].astype(np.float32)
        if progress:
            progress(len(images), len(images))
        return marked

    def predict_mean(
        self, images: NDArray[np.float32], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """The same as (slice, size, size): there is one rule."""
        mean: NDArray[np.float32] = self.predict(images, progress)[0]
        return mean

    def predict_ventricles(self, images: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The rule knows no ventricles."""
        return None

    def predict_anatomy(self, volume: FlairVolume) -> Anatomy | None:
        """The rule knows no anatomy."""
        return None


def _bright(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rule in one slice: the preprocessing scaled each slice by its own maximum, so that each has its own mode."""
    tissue = image[inside]
    mode = _mode(tissue) if tissue.size else 0.0
    brighter = tissue[tissue > mode]
    if not brighter.size:
        return np.zeros_like(inside)
    spread = _MAD_TO_SD * float(np.median(brighter - mode))
    return inside & (image >= mode + SD_ABOVE_MODE * spread)


def _inner_head(images: NDArray[np.float32], settings: PreprocessingSettings) -> NDArray[np.bool_]:
    """The head without its rim, found again in the normalised images.

    Air was 0 and the tissue's peak `peak_target` before the case was normalised, so that `mask_threshold` lies at the
    same share of the way between the two now.
    """
    air = float(images.min())
    above_air = images > air
    if not above_air.any():
        return np.zeros(images.shape, bool)
    peak = _mode(images[images > air + 0.25 * (float(np.quantile(images[above_air], 0.98)) - air)])
    head = images > air + (peak - air) * settings.mask_threshold / settings.peak_target
    filled = np.stack([ndimage.binary_fill_holes(each) for each in head])
    # A border of air: a head that fills the image still has an outside.
    depth = np.stack([ndimage.distance_transform_edt(np.pad(each, 1))[1:-1, 1:-1] for each in filled])
    return depth > RIM * float(depth.max())


def _mode(values: NDArray[np.float32]) -> float:
    """Centre of the highest bin of the smoothed histogram, outer 1 % left out."""
    low, high = np.quantile(values, (0.01, 0.99))
    if high <= low:
        return float(low)
    counts, edges = np.histogram(values, bins=_BINS, range=(float(low), float(high)))
    place = int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), 1.5)))
    return float((edges[place] + edges[place + 1]) / 2)
