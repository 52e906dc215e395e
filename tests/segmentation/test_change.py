"""What became of each lesion between two scans, and the registration before it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from segmentation.change import compare_lesions, compare_scans
from segmentation.registration import register_rigidly
from segmentation.volume import FlairVolume

SPACING_MM = (4.0, 2.0, 2.0)
SHAPE = (24, 72, 64)


def grid_affine() -> np.ndarray:
    """(column, row, slice) to mm, LPS, the middle of the grid at 0."""
    affine = np.diag([SPACING_MM[2], SPACING_MM[1], SPACING_MM[0], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE[::-1]) - 1) / 2)
    return affine


def head(pose: np.ndarray, lesions: list[tuple[float, float, float, float]]) -> tuple[FlairVolume, np.ndarray]:
    """An uneven head (bright rim, dark ventricles off the middle) with spherical lesions (x, y, z, radius), mm.

    Args:
        pose: 4x4, scanner mm to head mm.
        lesions: in the head's own frame.
    """
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")[::-1], axis=-1)
    mm = indices.reshape(-1, 3) @ grid_affine()[:3, :3].T + grid_affine()[:3, 3]
    x, y, z = (mm @ pose[:3, :3].T + pose[:3, 3]).T
    away = np.sqrt((x / 50) ** 2 + (y / 60) ** 2 + (z / 42) ** 2)
    voxels = np.where(away < 1, 500.0 + 2.0 * x + 1.5 * y + 100 * np.cos(z / 9), 0.0)
    voxels[(away > 0.88) & (away < 1)] = 1000
    for side, length in ((-1, 25), (1, 18)):
        voxels[((x - 12 * side) / 7) ** 2 + ((y - 5) / length) ** 2 + ((z - 5) / 12) ** 2 < 1] = 100
    mask = np.zeros(len(x), bool)
    for cx, cy, cz, radius in lesions:
        mask |= (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius**2
    voxels[mask] = 900
    volume = FlairVolume(voxels.reshape(SHAPE).astype(np.float32), SPACING_MM)
    return volume, mask.reshape(SHAPE)


def moved() -> np.ndarray:
    """Another pose."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", [3, -4, 5], degrees=True).as_matrix()
    pose[:3, 3] = [4, -3, 2]
    return pose


SAME = (0.0, -35.0, 0.0, 9.0)


def test_each_lesion_gets_its_kind_although_the_head_has_moved() -> None:
    """New, grown, stable, shrunk and gone are found; the registration brings the brain to within a millimetre."""
    then = [SAME, (30, 20, 5, 6), (-30, 20, 5, 11), (-30, -20, 10, 9)]
    now = [SAME, (30, 20, 5, 11), (-30, 20, 5, 6), (30, -20, -5, 9)]
    earlier, earlier_mask = head(np.eye(4), then)
    later, later_mask = head(moved(), now)
    changes, registration = compare_scans(earlier, grid_affine(), earlier_mask, later, grid_affine(), later_mask)
    assert registration.is_good
    points = np.random.default_rng(1).uniform(-30, 30, (50, 3))
    expected = points @ moved()[:3, :3].T + moved()[:3, 3]
    found = points @ registration.matrix[:3, :3].T + registration.matrix[:3, 3]
    assert np.linalg.norm(found - expected, axis=1).max() < 1.0
    assert {kind: changes.count(kind) for kind in ("new", "grown", "stable", "shrunk", "gone")} == {
        "new": 1,
        "grown": 1,
        "stable": 1,
        "shrunk": 1,
        "gone": 1,
    }
    assert changes.change_ml("new") > 0 > changes.change_ml("gone")
    total = (later_mask.sum() - earlier_mask.sum()) * later.voxel_volume_ml
    assert sum(site.now_ml - site.earlier_ml for site in changes.sites) == pytest.approx(total, abs=0.5)


def test_two_heads_are_no_good_registration() -> None:
    """Of what is no scan of the same head, the correlation says so."""
    volume, _ = head(np.eye(4), [SAME])
    noise = FlairVolume(np.random.default_rng(2).uniform(0, 900, SHAPE).astype(np.float32), SPACING_MM)
    assert not register_rigidly(volume, grid_affine(), noise, grid_affine()).is_good


def test_nothing_and_specks_are_no_sites() -> None:
    """Without WMH there is no site, and one below the least size of a lesion does not count; shapes must fit."""
    empty = np.zeros((4, 8, 8), bool)
    assert compare_lesions(empty.astype(np.float32), empty, 0.01).sites == ()
    speck = empty.copy()
    speck[1, 2, 2] = True
    assert compare_lesions(empty.astype(np.float32), speck, 0.01).sites == ()
    with pytest.raises(ValueError, match="of shape"):
        compare_lesions(np.zeros((1, 2, 3), np.float32), empty, 0.01)
