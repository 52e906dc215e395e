"""What the mask made of a bright region that may be an infarct."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.bright_region import find_bright_region
from segmentation.volume import FlairVolume

_SHAPE = (9, 128, 112)
_SPACING = (5.0, 1.5, 1.5)


def brain_with(radius_mm: float) -> tuple[FlairVolume, np.ndarray, np.ndarray]:
    """A brain as a cylinder, with a bright cylinder of that radius in the middle three slices; and where that is."""
    z, y, x = np.ogrid[tuple(slice(0, n) for n in _SHAPE)]
    away = np.hypot((y - 64) * 1.5, (x - 56) * 1.5) + 0 * z
    brain = away < 75
    bright = (np.hypot((y - 64) * 1.5, (x - 76) * 1.5) < radius_mm) & (abs(z - 4) <= 1)
    voxels = np.where(bright, 900.0, np.where(brain, 500.0, 0.0)).astype(np.float32)
    return FlairVolume(voxels, _SPACING), brain, bright


def test_what_is_counted_and_what_is_left_out_add_up_to_the_region() -> None:
    """Half of an infarct in the mask is counted, the other half left out; the slice with most of it is named."""
    volume, brain, bright = brain_with(20.0)
    mask = bright.copy()
    mask[:, :, 76:] = False
    mask[3] = False
    found = find_bright_region(volume, brain, mask)
    assert found is not None
    true_ml = float(bright.sum()) * volume.voxel_volume_ml
    assert found.volume_ml == pytest.approx(true_ml, rel=0.15)
    assert found.counted_ml == pytest.approx(float(mask.sum()) * volume.voxel_volume_ml, rel=0.15)
    assert found.counted_ml + found.left_out_ml == pytest.approx(found.volume_ml)
    assert found.slice_index in (3, 4, 5)


def test_wmh_of_usual_width_is_no_region() -> None:
    """A bright spot of 6 mm radius, and a brain without any, give none; neither does a volume without a brain."""
    for radius_mm in (0.0, 6.0):
        volume, brain, bright = brain_with(radius_mm)
        assert find_bright_region(volume, brain, bright) is None
    assert find_bright_region(volume, np.zeros(_SHAPE, bool), bright) is None
