"""A label-maps folder with one small head of shells and a few lesions, as ../shared/data/label-maps has large ones."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

_WHITE, _CORTEX, _VENTRICLE, _CSF, _SCALP, _CEREBELLUM, _OWN_LESION = 2, 3, 4, 24, 507, 8, 25
_WHITE_RIGHT, _CORTEX_RIGHT = 41, 42


def small_label_maps(folder: Path) -> Path:
    """Write it into `folder`: scalp, CSF, cortex, white matter, ventricle, cerebellum; 72 mm wide."""
    (folder / "heads").mkdir(parents=True)
    (folder / "lesions").mkdir()
    axes = np.ogrid[-36:36, -36:36, -36:36]
    radius = np.sqrt(sum(axis.astype(float) ** 2 for axis in axes))
    labels = np.zeros((72, 72, 72), np.int32)
    for outer, label in ((34, _SCALP), (30, _CSF), (28, _CORTEX), (24, _WHITE), (8, _VENTRICLE)):
        labels[radius < outer] = label
    right = np.broadcast_to(axes[0] >= 0, labels.shape)  # x runs to the patient's right
    labels[right & (labels == _WHITE)] = _WHITE_RIGHT
    labels[right & (labels == _CORTEX)] = _CORTEX_RIGHT
    labels[26:46, 10:24, 8:20] = np.where(labels[26:46, 10:24, 8:20] > 0, _CEREBELLUM, 0)
    labels[20:25, 34:40, 34:40] = _OWN_LESION
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), folder / "heads" / "one.nii.gz")
    block = np.argwhere(np.ones((14, 14, 14))) + np.array((60, 110, 90))
    for name in ("openms_lesion_maps_mni_1mm.npz", "csim_single_lesions_mni152_1mm.npz"):
        np.savez(folder / "lesions" / name, voxels=block.astype(np.int16), offsets=np.array([0, len(block)]))
    return folder
