"""Voxels of which a mask says nothing: near the ventricles, where some readers leave out caps and rims.

MS3SEG's masks hold abnormal WMH only, and leave out thin periventricular caps and rims that STRIVE counts in. A model
of the definition `all` is right to mark them there, and must not be scored as wrong: what is not marked within 5 mm of
the ventricles is ignored. What is marked there counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.data.cases import LabelledCase

NEAR_MM: Final = 5.0
UNKNOWN: Final = -1
"""The label of a voxel of which a mask says nothing, beside 0 and 1."""


def with_ignored_rims(case: LabelledCase, near_mm: float = NEAR_MM) -> LabelledCase:
    """The case with unmarked voxels near its ventricles ignored, in the plane of each slice.

    A case that has an ignore.nii.gz, or no ventricles, stays as it is.
    """
    if case.ignore is not None or case.ventricles is None or not case.ventricles.any():
        return case
    near = np.stack([_near(plane, case.volume.spacing_mm[1:], near_mm) for plane in case.ventricles])
    return replace(case, ignore=near & ~case.wmh)


def counted(mask: NDArray[np.bool_], ignore: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The part of a mask that is not ignored."""
    return mask if ignore is None else mask & ~ignore


def _near(plane: NDArray[np.bool_], spacing_mm: tuple[float, ...], near_mm: float) -> NDArray[np.bool_]:
    if not plane.any():
        return np.zeros(plane.shape, bool)
    return np.asarray(ndimage.distance_transform_edt(~plane, sampling=spacing_mm) <= near_mm, bool)
