"""Smooth random fields."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def smooth_field(shape: tuple[int, ...], knots: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    """Normal values at `knots` places along each of three axes, interpolated linearly to `shape`; float32."""
    field = generator.normal(size=knots).astype(np.float32)
    # Each turn interpolates the axis in front and puts it last: after three the order is the old one.
    for size in shape:
        field = np.tensordot(field, _hats(size, field.shape[0]), axes=(0, 1))
    return np.asarray(field, np.float32)


def _hats(size: int, knots: int) -> NDArray[np.float32]:
    """Weights (size, knots) of linear interpolation between evenly spaced knots."""
    places = np.linspace(0, knots - 1, size)[:, None]
    return np.asarray(np.maximum(0, 1 - np.abs(places - np.arange(knots))), np.float32)


def blurred_noise(shape: tuple[int, int, int], sigma: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Noise of SD 1 that is smooth within planes of the first axis; float32."""
    noise = generator.standard_normal(shape, np.float32)
    if sigma > 0:
        for plane in noise:
            cv2.GaussianBlur(plane, (0, 0), sigma, dst=plane)
        noise /= max(float(noise.std()), 1e-6)
    return noise
