"""The ventricles' edge follows the image."""

from __future__ import annotations

import numpy as np

from segmentation.ventricle_edge import at_dark_edge
from segmentation.volume import FlairVolume


def _head() -> tuple[FlairVolume, np.ndarray, np.ndarray]:
    """A grey brain with a dark ventricle that holds a bright plexus: volume, brain, ventricle."""
    brain, ventricle = np.zeros((2, 3, 80, 80), bool)
    brain[:, 5:75, 5:75] = True
    ventricle[:, 30:50, 30:50] = True
    voxels = np.where(brain, 400.0, 0.0).astype(np.float32)
    voxels[ventricle] = 100.0
    voxels[:, 39:41, 39:41] = 450.0
    return FlairVolume(voxels, (5.0, 1.0, 1.0)), brain, ventricle


def test_the_edge_moves_to_where_the_fluid_ends() -> None:
    """A mark that is shifted by a pixel is set right, and the plexus stays in."""
    volume, brain, ventricle = _head()
    np.testing.assert_array_equal(at_dark_edge(np.roll(ventricle, 1, axis=2), volume, brain), ventricle)


def test_an_image_without_dark_fluid_changes_nothing() -> None:
    """Where the marked place is as bright as the brain, or too small to have a middle, the mark stays as it is."""
    volume, brain, ventricle = _head()
    bright = FlairVolume(np.where(brain, 400.0, 0.0).astype(np.float32), volume.spacing_mm)
    shifted = np.roll(ventricle, 1, axis=2)
    np.testing.assert_array_equal(at_dark_edge(shifted, bright, brain), shifted)
    thin = np.zeros_like(ventricle)
    thin[:, 30:50, 30:32] = True
    np.testing.assert_array_equal(at_dark_edge(thin, volume, brain), thin)
