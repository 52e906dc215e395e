"""One synthetic case: a head, its lesions, a contrast, a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.synthesis.acquisition import Slab, degrade, draw_protocol
from training.synthesis.contrast import paint
from training.synthesis.heads import Head
from training.synthesis.lesions import LesionLibrary, draw_lesions
from training.synthesis.tissues import INSIDE_BRAIN, Tissue

_WHITE_MATTER_VALUE = 400.0
# Readers mark a voxel that is mostly lesion, and rather one too many than one too few.
_MARKED_FROM = 0.45
_HALF = 0.5
_SMALLEST_PIXELS = 4


@dataclass(frozen=True)
class SyntheticCase:
    """A FLAIR scan and its truth, all (slice, row, column), rows to posterior, columns to the left.

    Attributes:
        flair: float32, white matter about 400.
        wmh, ventricles, brain: bool.
        spacing_mm: (slice, row, column).
    """

    flair: NDArray[np.float32]
    wmh: NDArray[np.bool_]
    ventricles: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]


def draw_case(head: Head, library: LesionLibrary, seed: int) -> SyntheticCase:
    """Draw one case; the same head and seed give the same case."""
    generator = np.random.default_rng(seed)
    lesion = draw_lesions(head, library, generator)
    image = paint(head, lesion, generator)
    protocol = draw_protocol(generator)
    slab = Slab(head, protocol)
    flair = degrade(slab.sample(image), generator) * _WHITE_MATTER_VALUE
    return SyntheticCase(
        flair=flair,
        wmh=_marked(slab.share(lesion >= _HALF)),
        ventricles=slab.share(head.is_tissue(Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS)) >= _HALF,
        brain=slab.share(head.is_tissue(*INSIDE_BRAIN, Tissue.CSF)) >= _HALF,
        spacing_mm=(protocol.spacing_mm, protocol.pixel_mm, protocol.pixel_mm),
    )


def _marked(share: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What a reader marks, slice by slice: not the specks."""
    marked = share >= _MARKED_FROM
    return np.stack([_without_specks(plane) for plane in marked])


def _without_specks(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    areas, count = ndimage.label(plane)
    sizes = np.bincount(areas.ravel(), minlength=count + 1)
    kept: NDArray[np.bool_] = plane & (sizes >= _SMALLEST_PIXELS)[areas]
    return kept
