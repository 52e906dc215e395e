"""Which tissue of a slice is brighter than brain: what WMH, infarcts and tumours have in common on FLAIR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

LARGE_PART: Final = 0.5  # of the largest slice: the ends of the brain hold scalp and skull base
BRIGHT: Final = 1.25  # of the slice's median in the brain
_SMOOTH_MM: Final = 1.5


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class CalmBrain:
    """The box of one slice that holds its brain, calmed by a Gaussian filter.

    Attributes:
        box: rows and columns of it.
        inside: bool (row, column) of the box: the brain.
        ratio: float32, same shape: brightness, the slice's median in the brain = 1; 1 outside it, so that scalp does
            not shine in.
    """

    box: tuple[slice, slice]
    inside: Mask
    ratio: NDArray[np.float32]

    @property
    def body(self) -> Mask:
        """Where it is brighter than brain."""
        return np.asarray(self.inside & (self.ratio > BRIGHT))


def calm_brain(pixels: NDArray[np.float32], inside: Mask, spacing_mm: tuple[float, float]) -> CalmBrain:
    """Look at one slice.

    Args:
        pixels: float32 (row, column).
        inside: bool, same shape, not empty: the brain.
        spacing_mm: (row, column).
    """
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    pixels, within = pixels[box], inside[box]
    middle = float(np.median(pixels[within]))
    calm = ndimage.gaussian_filter(np.where(within, pixels, middle), [_SMOOTH_MM / s for s in spacing_mm])
    scale = middle if middle > 0 else 1.0
    return CalmBrain(box, within, np.asarray(calm / np.float32(scale), np.float32))


def bright_body(pixels: NDArray[np.float32], inside: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """Where one slice's brain is brighter than `BRIGHT` times its median, calmed; bool (row, column).

    Args:
        pixels, inside, spacing_mm: see `calm_brain`.
    """
    calm = calm_brain(pixels, inside, spacing_mm)
    body = np.zeros(inside.shape, bool)
    body[calm.box] = calm.body
    return body
