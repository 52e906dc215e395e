"""Anatomical label maps, turned to one orientation and measured once for all the scans drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.errors import BadCohort
from training.synthesis.tissues import INSIDE_BRAIN, LESION_LABELS, Tissue, tissue_map

_MARGIN = 12  # voxels kept below the brain: slices often start under it
_CEREBRUM = (2, 3, 41, 42)


@dataclass(frozen=True)
class Head:
    """One head at 1 mm, axes (x to the right, y to anterior, z to superior).

    Attributes:
        tissue: uint8 `Tissue` values.
        lesions: bool, white matter lesions of the person scanned.
        to_ventricles_mm: float32, distance to the lateral ventricles, inside them 0.
        cerebrum: first and last index of the cerebrum along each axis, (2, 3).
        brain: first and last index of the brain along z.
    """

    tissue: NDArray[np.uint8]
    lesions: NDArray[np.bool_]
    to_ventricles_mm: NDArray[np.float32]
    cerebrum: NDArray[np.int64]
    brain: tuple[int, int]

    def is_tissue(self, *tissues: Tissue) -> NDArray[np.bool_]:
        """Where the head consists of any of these."""
        table = np.zeros(len(Tissue), bool)
        table[list(tissues)] = True
        return table[self.tissue]


def head_files(folder: Path) -> list[Path]:
    """The label maps in `folder/heads`, sorted.

    Raises:
        BadCohort: there is none.
    """
    files = sorted((folder / "heads").glob("*.nii.gz"))
    if not files:
        raise BadCohort(f"expected label maps in {folder.name}/heads/*.nii.gz, found none: name the label-maps folder")
    return files


def load_head(path: Path) -> Head:
    """Read one label map at 1 mm."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    labels = np.asarray(image.dataobj).astype(np.int32)
    tissue = tissue_map(labels)
    inside = np.isin(tissue, INSIDE_BRAIN)
    heights = np.flatnonzero(inside.any(axis=(0, 1)))
    bottom = max(0, int(heights[0]) - _MARGIN)
    kept: Any = np.s_[:, :, bottom:]
    labels, tissue = labels[kept], tissue[kept]
    cerebrum = np.isin(labels, _CEREBRUM)
    extent = [np.flatnonzero(cerebrum.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    lateral = np.isin(labels, (4, 43, 136, 163))
    return Head(
        tissue=tissue,
        lesions=np.isin(labels, LESION_LABELS),
        to_ventricles_mm=ndimage.distance_transform_edt(~lateral).astype(np.float32),
        cerebrum=np.array([[line[0], line[-1]] for line in extent]),
        brain=(int(heights[0]) - bottom, int(heights[-1]) - bottom),
    )
