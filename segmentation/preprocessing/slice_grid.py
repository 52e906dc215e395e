"""Native pixel grid <-> square network grid: pad to a square field of view, resample, and the exact inverse.

A slice is centred in a square field of view whose side is the longer of its two sides in mm, so that anatomy keeps its
aspect whatever the matrix or the pixel spacing. Both directions use one pair of numbers per axis, so that the way back
inverts the way in exactly; pixel centres sit at half-integer positions, as in DICOM (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.volume import Stored, as_float

_CUBIC = 3
_LINEAR = 1
_GAUSSIAN_SDS = 4  # how far SciPy's Gaussian filter looks

Prepare = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""What is done to one slice (row, column) before it is resampled."""


@dataclass(frozen=True)
class SliceGrid:
    """The mapping between a native slice (row, column) and a square grid of `size` pixels.

    Attributes:
        native_shape: rows and columns of the native slice.
        spacing_mm: native pixel spacing (row, column).
        size: rows and columns of the square grid.
    """

    native_shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    size: int

    @property
    def field_of_view_mm(self) -> float:
        """Side of the square field of view."""
        return max(n * s for n, s in zip(self.native_shape, self.spacing_mm, strict=True))

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel of the square grid."""
        return self.field_of_view_mm / self.size

    @property
    def steps(self) -> tuple[float, float]:
        """Native pixels per square-grid pixel, (row, column)."""
        return self.pixel_mm / self.spacing_mm[0], self.pixel_mm / self.spacing_mm[1]

    @property
    def offsets(self) -> tuple[float, float]:
        """Native coordinate of the centre of square-grid pixel 0, (row, column)."""
        return tuple(  # type: ignore[return-value]
            (n - self.size * step) / 2 + step / 2 - 0.5 for n, step in zip(self.native_shape, self.steps, strict=True)
        )

    @property
    def is_identity(self) -> bool:
        """Whether native and square grid are the same pixels."""
        return self.native_shape == (self.size, self.size) and np.allclose(self.steps, 1.0, atol=1e-9)

    def to_square(self, pixels: Stored, prepare: Prepare | None = None) -> NDArray[np.float32]:
        """Resample (slice, row, column) from the native to the square grid by cubic B-splines, zero outside.

        Cubic interpolation overshoots: the caller clips.

        Args:
            pixels: native intensities.
            prepare: changes each slice first, one at a time, so that no second volume is held.
        """
        if self.is_identity:
            return as_float(pixels) if prepare is None else np.stack([prepare(as_float(plane)) for plane in pixels])
        return _resample(pixels, self.steps, self.offsets, (self.size, self.size), _CUBIC, prepare)

    def around(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """The part of the square grid that decides what `to_native` gives in a part of a native slice."""
        parts = []
        for native, step, offset in zip((rows, columns), self.steps, self.offsets, strict=True):
            margin = math.ceil(_GAUSSIAN_SDS * max(0.0, (1 / step - 1) / 2)) + 2
            first, last = math.floor((native.start - offset) / step), math.ceil((native.stop - 1 - offset) / step)
            start = min(max(first - margin, 0), self.size)
            parts.append(slice(start, min(max(last + margin + 1, start), self.size)))
        return parts[0], parts[1]

    def to_native(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample (slice, row, column) from the square to the native grid, linearly, so that [0, 1] stays [0, 1]."""
        if self.is_identity:
            return values
        steps = (1 / self.steps[0], 1 / self.steps[1])
        offsets = (-self.offsets[0] * steps[0], -self.offsets[1] * steps[1])
        return _resample(values, steps, offsets, self.native_shape, _LINEAR)

    def to_native_mask(self, values: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
        """Where `to_native` gives the threshold or more; slice by slice, so that the values are never held at once."""
        mask = np.zeros((len(values), *self.native_shape), bool)
        for index, plane in enumerate(values):
            # Linear interpolation gives nothing above the highest value, and 0 beyond the field of view.
            if max(float(plane.max()), 0.0) >= threshold:
                mask[index] = self.to_native(values[index : index + 1])[0] >= threshold
        return mask

    def mask_to_square(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A native mask (slice, row, column) on the square grid, by linear interpolation and a threshold of 0.5."""
        if self.is_identity:
            return mask
        square = (self.size, self.size)
        return _resample(mask, self.steps, self.offsets, square, _LINEAR) >= 0.5


def _resample(
    pixels: NDArray[Any],
    steps: tuple[float, float],
    offsets: tuple[float, float],
    shape: tuple[int, int],
    order: int,
    prepare: Prepare | None = None,
) -> NDArray[np.float32]:
    """Sample each slice, prepared, at offset + index * step; low-pass first along the axes that shrink."""
    # Width as in the usual anti-aliased resize: half of the shrink beyond 1, in source pixels.
    sigmas = [max(0.0, (step - 1) / 2) for step in steps]
    out = np.empty((len(pixels), *shape), np.float32)
    for index, plane in enumerate(pixels):
        source = as_float(plane) if prepare is None else prepare(as_float(plane))
        smooth = ndimage.gaussian_filter(source, sigmas, mode="nearest") if any(sigmas) else source
        ndimage.affine_transform(
            smooth,
            np.asarray(steps),
            np.asarray(offsets),
            output_shape=shape,
            output=out[index],
            order=order,
            mode="grid-constant",
            cval=0.0,
        )
    return out
