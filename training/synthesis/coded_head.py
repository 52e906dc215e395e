"""A whole head as small integers, from chin to vertex, read once for thousands of scans.

What a scan changes (lesions, infarcts, lacunes, flow) is written as codes into a copy; brightness is looked up where
the scanner's planes cut the head. That is some ten times faster than to paint the head in 3D first, so that a network
can see each drawn scan only once or twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.synthesis.tissues import INSIDE_BRAIN, LESION_LABELS, Tissue, tissue_map

_CEREBRUM: Final = (2, 3, 41, 42)
_LATERAL_VENTRICLES: Final = (4, 43, 136, 163)
_LEFT: Final = (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 31, 136, 137)
_RIGHT: Final = (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 163, 164)
_FIFTH_VENTRICLE: Final = 72  # of the septum; no reader counts it
_CLOSING_MM: Final = 5.0
STEPS_PER_MM: Final = 4
"""Distances are kept in quarters of a millimetre, up to 63 mm."""


class Part(IntFlag):
    """Bits of the anatomy that a network learns."""

    BRAIN = 1
    VENTRICLES = 2
    INFRATENTORIAL = 4
    LEFT = 8
    CORTEX = 16


class Extra(IntEnum):
    """Codes beside those of `Tissue` that a scan may write into a head."""

    INFARCT = len(Tissue)
    CAVITY = len(Tissue) + 1
    RIM_OF_CAVITY = len(Tissue) + 2
    FLOW = len(Tissue) + 3
    HALO = len(Tissue) + 4


CODES: Final = len(Tissue) + len(Extra)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class CodedHead:
    """One head at 1 mm, axes (x to the right, y to anterior, z to superior).

    Attributes:
        tissue: uint8 `Tissue` values.
        parts: uint8 bits of `Part`.
        lesions: bool, white matter lesions of the person scanned.
        ventricle_steps: uint8, distance to the lateral ventricles in steps of a quarter of a millimetre.
        cerebrum: first and last index of the cerebrum along each axis, (3, 2).
        brain: first and last index of the brain along z.
    """

    tissue: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    lesions: NDArray[np.bool_]
    ventricle_steps: NDArray[np.uint8]
    cerebrum: NDArray[np.int64]
    brain: tuple[int, int]

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The box around the cerebrum, where lesions are drawn."""
        low, high = self.cerebrum[:, 0], self.cerebrum[:, 1] + 1
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2]))


def load_coded_head(path: Path) -> CodedHead:
    """Read one label map at 1 mm (`heads/*.nii.gz` of the label-maps folder)."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    labels = np.asarray(image.dataobj).astype(np.int32)
    tissue = tissue_map(labels)
    cerebrum = np.isin(labels, _CEREBRUM)
    extent = [np.flatnonzero(cerebrum.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = np.array([[line[0], line[-1]] for line in extent])
    inside = np.isin(tissue, INSIDE_BRAIN)
    heights = np.flatnonzero(inside.any(axis=(0, 1)))
    return CodedHead(
        tissue=tissue,
        parts=_parts(labels, tissue, inside, float(box[0].mean())),
        lesions=np.isin(labels, LESION_LABELS),
        ventricle_steps=_steps_to(np.isin(labels, _LATERAL_VENTRICLES)),
        cerebrum=box,
        brain=(int(heights[0]), int(heights[-1])),
    )


def _parts(
    labels: NDArray[np.int32], tissue: NDArray[np.uint8], inside: NDArray[np.bool_], middle: float
) -> NDArray[np.uint8]:
    """The brain is what lies inside its closed surface, sulci with it: as brain masks of real scans have it."""
    brain = _closed(inside) & (inside | (tissue == Tissue.CSF))
    infratentorial = np.isin(tissue, (Tissue.CEREBELLAR_WHITE, Tissue.CEREBELLAR_CORTEX, Tissue.BRAINSTEM)) | (
        labels == 15
    )
    # x runs to the patient's right.
    left = np.isin(labels, _LEFT) | (~np.isin(labels, _RIGHT) & (np.arange(labels.shape[0]) < middle)[:, None, None])
    parts = np.zeros(labels.shape, np.uint8)
    for part, where in (
        (Part.BRAIN, brain),
        (Part.VENTRICLES, np.isin(tissue, (Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS)) & (labels != _FIFTH_VENTRICLE)),
        (Part.INFRATENTORIAL, infratentorial),
        (Part.LEFT, left & brain),
        (Part.CORTEX, tissue == Tissue.CORTEX),
    ):
        parts[where] |= part.value
    return parts


def _closed(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`binary_closing` by a ball, by two distance transforms in the box that can change."""
    margin = int(_CLOSING_MM) + 2
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    box: Any = tuple(slice(max(extent.start - margin, 0), extent.stop + margin) for extent in found)
    grown = ndimage.distance_transform_edt(~inside[box]) <= _CLOSING_MM
    closed = np.zeros_like(inside)
    closed[box] = ndimage.distance_transform_edt(grown) > _CLOSING_MM
    return np.asarray(closed | inside, bool)


def _steps_to(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    found = ndimage.find_objects(where.astype(np.uint8))[0]
    box: Any = tuple(slice(max(extent.start - 64, 0), extent.stop + 64) for extent in found)
    steps = np.full(where.shape, 255, np.uint8)
    steps[box] = np.clip(ndimage.distance_transform_edt(~where[box]) * STEPS_PER_MM, 0, 255).astype(np.uint8)
    return steps
