"""Tiny labelled cases, in memory and as case folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from segmentation.volume import FlairVolume
from training.data.cases import LabelledCase

AFFINE = np.diag([-1.0, -1.0, 5.0, 1.0])


def labelled_case(
    name: str, patient: str | None = None, lesion: int = 4, seed: int = 0, size: int = 32
) -> LabelledCase:
    """Three slices of noise with a bright square of `lesion` x 4 voxels, and ventricles beside it."""
    voxels = np.random.default_rng(seed).gamma(9, 40, (3, size, size)).astype(np.float32)
    wmh = np.zeros(voxels.shape, bool)
    wmh[1, 10 : 10 + lesion, 10:14] = True
    ventricles = np.zeros(voxels.shape, bool)
    ventricles[:, 18:24, 18:24] = True
    voxels[wmh] *= 3
    voxels[ventricles] /= 6
    volume = FlairVolume(voxels, (5.0, 1.0, 1.0))
    return LabelledCase(name, patient or name, volume, wmh, voxels > 60, ventricles)


def write_case(folder: Path, case: LabelledCase, skip: Sequence[str] = ()) -> Path:
    """Write a case folder; `skip` names files to leave out."""
    target = folder / case.name
    target.mkdir(parents=True, exist_ok=True)
    arrays = {"flair": case.volume.voxels, "wmh": case.wmh, "ventricles": case.ventricles, "brain_mask": case.brain}
    for name, array in arrays.items():
        if array is not None and name not in skip:
            write_nifti(target / f"{name}.nii.gz", array)
    return target


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    """Write (slice, row, column) in LPS as NIfTI."""
    kind = np.uint8 if array.dtype == bool else array.dtype
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)).astype(kind), affine), path)


def write_cohort(folder: Path, patients: int = 5, size: int = 32) -> Path:
    """A folder of cases p0, p1, ... of one patient each, lesions growing."""
    for index in range(patients):
        write_case(folder, labelled_case(f"p{index}", lesion=4 + index, seed=index, size=size))
    return folder
