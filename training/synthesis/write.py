"""A synthetic scan as a case folder."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from training.synthesis.case import SyntheticCase


def write_case(case: SyntheticCase, folder: Path) -> None:
    """Write one case folder: flair, wmh, ventricles and brain_mask on one grid, RAS+ NIfTI."""
    folder.mkdir(parents=True, exist_ok=True)
    depth, height, width = case.spacing_mm
    affine = np.diag([-width, -height, depth, 1.0])
    arrays = {"wmh": case.wmh, "ventricles": case.ventricles, "brain_mask": case.brain, "flair": case.flair}
    for name, array in arrays.items():
        kind = np.int16 if name == "flair" else np.uint8
        image = nibabel.Nifti1Image(np.ascontiguousarray(np.rint(array).transpose(2, 1, 0)).astype(kind), affine)
        nibabel.save(image, folder / f"{name}.nii.gz")
