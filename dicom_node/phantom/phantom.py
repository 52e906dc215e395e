"""Make a phantom: arrays only, no DICOM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_node.phantom.spec import PhantomSpec

__all__ = ["Phantom", "PhantomSpec", "make_phantom"]


@dataclass(frozen=True)
class Phantom:
    """A synthetic head with its truth, all on one grid (slice, row, column), slices from feet to head.

    Attributes:
        spec: what was asked for.
        flair: float32, scanner-like intensities.
        wmh, brain, ventricles: bool masks of the truth.
        affine: float64 (4, 4), (column index, row index, slice index, 1) to mm, LPS.
        truth_ml: volume of the WMH mask in mL.
        lesion_count: 3-D connected components of the WMH mask (26-connectivity).
    """

    spec: PhantomSpec
    flair: NDArray[np.float32]
    wmh: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    ventricles: NDArray[np.bool_]
    affine: NDArray[np.float64]
    truth_ml: float
    lesion_count: int


def make_phantom(spec: PhantomSpec) -> Phantom:
    """Make the phantom that the spec describes; the same spec gives the same bits."""
    raise NotImplementedError
