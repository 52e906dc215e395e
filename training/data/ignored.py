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

from segmentation.brain import brain_mask
from segmentation.preprocessing.masked import brain_statistics
from training.data.cases import LabelledCase

NEAR_MM: Final = 5.0
UNKNOWN: Final = -1
"""The label of a voxel of which a mask says nothing, beside 0 and 1."""


def with_ignored_rims(case: LabelledCase, near_mm: float = NEAR_MM, least_sd: float | None = None) -> LabelledCase:
    """The case with unmarked voxels near its ventricles ignored, in the plane of each slice.

    A case that has an ignore.nii.gz, or no ventricles, stays as it is.

    Args:
        case: with or without ventricles.
        near_mm: how near.
        least_sd: only voxels that are so bright, see `brightness`: the others are no WMH by any reader. None: all.
    """
    near = near_ventricles(case, near_mm)
    if case.ignore is not None or near is None:
        return case
    ignore = near & ~case.wmh
    return replace(case, ignore=ignore if least_sd is None else ignore & (brightness(case) >= least_sd))


def dim_rims(case: LabelledCase, near_mm: float, least_sd: float) -> NDArray[np.bool_]:
    """Marked voxels near the ventricles that are less bright: a drawn scan marks rims that no reader sees."""
    near = near_ventricles(case, near_mm)
    if near is None:
        return np.zeros(case.wmh.shape, bool)
    return np.asarray(near & case.wmh & (brightness(case) < least_sd), bool)


def near_ventricles(case: LabelledCase, near_mm: float) -> NDArray[np.bool_] | None:
    """What lies within `near_mm` of the ventricles, in the plane of each slice; None without ventricles."""
    if case.ventricles is None or not case.ventricles.any():
        return None
    return np.stack([_near(plane, case.volume.spacing_mm[1:], near_mm) for plane in case.ventricles])


def brightness(case: LabelledCase) -> NDArray[np.float32]:
    """Intensities in SD of the brain above its median, as networks that see the brain alone get them."""
    brain = brain_mask(case.volume) if case.brain is None else case.brain
    if not brain.any():
        return np.zeros(case.wmh.shape, np.float32)
    median, spread = brain_statistics(case.volume.voxels[brain])
    return np.asarray((case.volume.voxels - median) / spread, np.float32)


def counted(mask: NDArray[np.bool_], ignore: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The part of a mask that is not ignored."""
    return mask if ignore is None else mask & ~ignore


def _near(plane: NDArray[np.bool_], spacing_mm: tuple[float, ...], near_mm: float) -> NDArray[np.bool_]:
    if not plane.any():
        return np.zeros(plane.shape, bool)
    return np.asarray(ndimage.distance_transform_edt(~plane, sampling=spacing_mm) <= near_mm, bool)
