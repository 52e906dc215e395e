"""The plane between the halves of a brain, where the head is not straight or a part of one half is not marked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.evidence import gather
from segmentation.measures import measure
from segmentation.midline import Midplane, left_half
from segmentation.volume import FlairVolume

_SPACING = (5.0, 1.5, 1.5)


def _places(lean: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """mm from the middle of the head: up, back, and across its midplane, which leans by `lean` mm each mm upwards."""
    z, y, x = np.ogrid[-12:13, -70:70, -70:70]
    up, back, across = z * 5.0, y * 1.5, x * 1.5
    return up + 0 * across, back, across - lean * up


def _brain(lean: float) -> NDArray[np.bool_]:
    up, back, across = _places(lean)
    return np.asarray((up / 70) ** 2 + (back / 85) ** 2 + (across / 66) ** 2 <= 1)


@pytest.mark.parametrize("lean", [-0.3, -0.1, 0.0, 0.2])
@pytest.mark.parametrize("is_cut", [False, True])
def test_the_plane_follows_a_head_that_leans(lean: float, is_cut: bool) -> None:
    """Also where the mask leaves out a lesion of one half in some slices: 2 mm off at most."""
    brain = _brain(lean)
    _, _, across = _places(lean)
    if is_cut:
        brain[8:12] &= (across < 20)[8:12]
    plane = Midplane.of(brain, _SPACING)
    for index in range(4, 21):
        _, found = plane.lines[index].places(brain.shape[1:])
        assert np.abs(found - across[index]).max() <= 2.0 or np.abs(found + across[index]).max() <= 2.0


@pytest.mark.parametrize("lean", [-0.3, 0.3])
def test_wmh_beside_the_midline_of_a_head_that_leans_is_one_sided(lean: float) -> None:
    """In every slice on the same side of it, and so it is doubted; as much on both sides is not."""
    brain = _brain(lean)
    _, back, across = _places(lean)
    right = brain & (across > 4) & (across < 14) & (np.abs(back) < 15)
    both = brain & (np.abs(across) > 4) & (np.abs(across) < 14) & (np.abs(back) < 8)
    volume = FlairVolume(np.where(brain, np.float32(400), np.float32(5)), _SPACING)
    sides = [
        gather(volume, brain, mask, 0.0, measure(mask, mask.astype(np.float32), volume.voxel_volume_ml)).side
        for mask in (right, both)
    ]
    assert sides[0] > 0.95
    assert sides[1] < 0.05


@pytest.mark.parametrize("lean", [-0.2, 0.0, 0.2])
def test_left_is_where_the_columns_say(lean: float) -> None:
    """The half with the high columns where columns run to the left, the other one where they run to the right."""
    brain = _brain(lean)
    _, _, across = _places(lean)
    far = np.abs(across) > 4
    left, right = (left_half(brain, _SPACING, to_left) for to_left in (True, False))
    assert left is not None and right is not None
    assert np.array_equal((left & far)[4:21], ((across > 0) & far & np.ones_like(brain))[4:21])
    assert np.array_equal(right, ~left)


def test_no_side_where_it_is_not_known() -> None:
    """No side where the direction of the columns is unknown, without a brain, or where it lies across the image."""
    brain = _brain(0.0)
    assert left_half(brain, _SPACING, None) is None
    assert left_half(np.zeros_like(brain), _SPACING, True) is None
    assert left_half(brain.transpose(0, 2, 1), _SPACING, True) is None
