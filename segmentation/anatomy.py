"""Where things are in the head: brain, ventricles, infratentorial, left, cortex, by one small network.

Its images are half as fine as the members' and of the whole volume in one scale (`segmentation.preprocessing.robust`):
coarse pixels let it see far enough to know a jaw from a cerebellum. It says for each pixel how likely each part is; the
parts overlap (ventricles lie in the brain).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.preprocessing.robust import brain_level, scale_by_brain
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.volume import FlairVolume

PARTS: Final = ("brain", "ventricles", "infratentorial", "left", "cortex")
"""What the network's outputs are, in this order."""

CLIP: Final = 2.5
PART_THRESHOLD: Final = 0.5
"""Probability at or above which a voxel is of a part."""

_BRIDGE_MM: Final = 5.0  # what is thinner in a slice is no brain of its own: muscle, sinuses, dura
_LEAST_BRAIN_PART: Final = 0.05
_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Anatomy:
    """Parts of the head, bool (slice, row, column) on the native grid.

    Attributes:
        brain: all inside the brain's surface, sulci and ventricles with it.
        ventricles: the fluid in them and the plexus.
        infratentorial: cerebellum and brainstem.
        left: the patient's left half of the brain.
        cortex: the band of the cortex.
    """

    brain: NDArray[np.bool_]
    ventricles: NDArray[np.bool_]
    infratentorial: NDArray[np.bool_]
    left: NDArray[np.bool_]
    cortex: NDArray[np.bool_]


def anatomy_images(volume: FlairVolume, size: int) -> tuple[NDArray[np.float32], SliceGrid]:
    """The anatomy network's input, float32 (slice, size, size): brain about 0, air -1, clipped at 1.5.

    Args:
        volume: native intensities.
        size: rows and columns of the network.

    Returns:
        The images and the grid that leads back; images of -1 where the volume has no signal.
    """
    rows, columns = volume.voxels.shape[1:]
    grid = SliceGrid((rows, columns), volume.spacing_mm[1:], size)
    level = brain_level(volume.voxels)
    if level is None:
        return np.full((len(volume.voxels), size, size), -1, np.float32), grid
    grey = grid.to_square(scale_by_brain(volume.voxels, level, 1.0, CLIP))
    return np.asarray(np.clip(grey, 0, CLIP) - 1, np.float32), grid


def anatomy_of(probabilities: NDArray[np.float32], grid: SliceGrid) -> Anatomy:
    """The parts on the native grid; what is no brain is none of the others.

    Args:
        probabilities: float32 (part, slice, row, column) on the square grid, parts as in `PARTS`.
        grid: of `anatomy_images`.
    """
    brain = clean_brain(grid.to_native(probabilities[0]) >= PART_THRESHOLD, grid.spacing_mm)
    others = [(grid.to_native(probability) >= PART_THRESHOLD) & brain for probability in probabilities[1:]]
    return Anatomy(brain, *others)


def clean_brain(mask: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """The largest body (26-connected) and others of at least a twentieth of it, holes of each slice filled.

    A morphological opening within each slice separates the bodies: it removes thin connections to muscle and sinuses.

    Args:
        mask: bool (slice, row, column), native grid.
        spacing_mm: of rows and of columns.
    """
    cores = np.stack([_edge_mm(plane, spacing_mm) > _BRIDGE_MM / 2 for plane in mask])
    labels, count = ndimage.label(_grown(cores, _BRIDGE_MM / 2, spacing_mm) & mask, structure=_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = (sizes >= max(1.0, _LEAST_BRAIN_PART * sizes.max()))[labels]
    # A pixel more: the corners that the opening cut come back.
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask & _grown(kept, max(spacing_mm), spacing_mm)])


def _grown(mask: NDArray[np.bool_], by_mm: float, spacing_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """The mask with its edge so far out, within each slice."""
    return np.stack([_edge_mm(~plane, spacing_mm) <= by_mm if plane.any() else plane for plane in mask])


def _edge_mm(plane: NDArray[np.bool_], spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Distance of each marked pixel (row, column) to the nearest that is not; the field of view ends nothing."""
    padded = np.pad(plane, 1, mode="edge")
    return np.asarray(ndimage.distance_transform_edt(padded, spacing_mm)[1:-1, 1:-1])
