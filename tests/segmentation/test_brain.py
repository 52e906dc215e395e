"""The brain mask without a network: brain in, scalp, face, neck and air out."""

from __future__ import annotations

from functools import cache

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from support.air import least_depth_mm
from support.data import shared_data

from segmentation.brain import brain_mask
from segmentation.nifti import read_flair_nifti
from segmentation.volume import FlairVolume

pytestmark = pytest.mark.slow

_SPACING = (5.0, 2.0, 2.0)
_BRAIN, _FLUID, _BONE, _FAT, _MUSCLE = 1000.0, 150.0, 60.0, 2600.0, 550.0


@cache
def _head(skull: bool = True, neck: bool = True) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A drawn head (slice, row, column), 30 slices from neck to vertex, and its brain."""
    z, y, x = np.meshgrid(np.arange(30) * 5.0, np.arange(110) * 2.0 - 110, np.arange(110) * 2.0 - 110, indexing="ij")
    height = (z - 80.0) / np.where(z > 80, 62.0, 72.0)
    radius = np.sqrt((x / 66.0) ** 2 + (y / 84.0) ** 2 + height**2)
    brain = (radius < 1.0) & (z > 18)
    voxels = np.zeros(z.shape, np.float32)
    if skull:
        skin = np.sqrt((x / 82.0) ** 2 + (y / 100.0) ** 2) if neck else radius / 1.22
        rind = np.where(z > 80, np.sqrt((x / 82.0) ** 2 + (y / 100.0) ** 2 + ((z - 80.0) / 78.0) ** 2), skin)
        voxels[rind < 1.0] = _FAT
        voxels[rind < 0.93] = _BONE
        face = (z < 50) & (rind < 0.9) & ~ndimage.binary_dilation(brain, iterations=2)
        voxels[face & (np.sin(x / 4.0) * np.sin(y / 5.0) > -0.3)] = _MUSCLE
    ventricles = ((x / 16.0) ** 2 + (y / 30.0) ** 2 + ((z - 85.0) / 16.0) ** 2) < 1.0
    voxels[brain] = _BRAIN
    voxels[ventricles & brain] = _FLUID
    noise = np.random.default_rng(1).normal(0.0, 25.0, voxels.shape)
    return np.clip(voxels + noise, 0.0, None).astype(np.float32), brain


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("skull", [True, False])
def test_the_brain_is_found_with_and_without_a_skull(skull: bool) -> None:
    """The mask matches the drawn brain, ventricles included, whether or not skull and scalp were removed before."""
    voxels, brain = _head(skull)
    found = brain_mask(FlairVolume(voxels, _SPACING))
    assert _dice(found, brain) > 0.95


def test_scalp_and_neck_are_left_out() -> None:
    """Nothing brighter than brain at the skin, no muscle and no air lies in the mask."""
    voxels, brain = _head()
    found = brain_mask(FlairVolume(voxels, _SPACING))
    assert not found[voxels > 2000].any()
    assert (found & ~ndimage.binary_dilation(brain, iterations=2)).sum() == 0


@pytest.mark.parametrize("factor", [0.1, 40.0])
def test_the_scale_of_the_intensities_does_not_matter(factor: float) -> None:
    """Ten times darker or forty times brighter images give the same mask."""
    voxels, _ = _head()
    expected = brain_mask(FlairVolume(voxels, _SPACING))
    assert _dice(brain_mask(FlairVolume(voxels * np.float32(factor), _SPACING)), expected) > 0.999


def test_a_few_extreme_pixels_do_not_matter() -> None:
    """One hot pixel a slice, a hundred times the brightest tissue, leaves the mask as it is."""
    voxels, _ = _head()
    hot = voxels.copy()
    hot[:, 5, 7] = 260_000.0
    assert _dice(brain_mask(FlairVolume(hot, _SPACING)), brain_mask(FlairVolume(voxels, _SPACING))) > 0.99


def test_lesions_stay_in_the_brain() -> None:
    """A lesion 1.6 times as bright as the brain does not make a hole."""
    voxels, _ = _head()
    bright = voxels.copy()
    bright[15:17, 40:48, 35:43] = 1600.0
    assert brain_mask(FlairVolume(bright, _SPACING))[15:17, 40:48, 35:43].all()


def test_blank_images_have_no_brain() -> None:
    """A volume of zeros gives an empty mask of its own shape."""
    found = brain_mask(FlairVolume(np.zeros((4, 32, 48), np.float32), (5.0, 4.0, 4.0)))
    assert found.shape == (4, 32, 48) and not found.any()


@pytest.mark.shared_data
@pytest.mark.parametrize("case", ["107130", "101627"])
def test_real_scans_match_their_brain_masks(case: str) -> None:
    """On labelled 1.5 T scans the mask agrees with the data set's own (itself drawn by a tool) at Dice 0.9 or more."""
    folder = shared_data("flair-wmh", case)
    volume, grid = read_flair_nifti(folder / "flair.nii.gz")
    truth, lesions = (
        grid.to_axial(np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj) > 0)  # type: ignore[attr-defined]
        for name in ("brain_mask", "wmh")
    )
    found = brain_mask(volume)
    assert _dice(found, truth) > 0.9
    assert (found & lesions).sum() >= 0.99 * lesions.sum()


@pytest.mark.shared_data
@pytest.mark.parametrize("scan", ["flair-other/tcga-fg-6692_siemens_glioma", "flair-wmh/101228/flair"])
def test_no_scalp_and_no_air_of_real_scans_is_brain(scan: str) -> None:
    """On scans of two scanners, both from below the skull base and with bright scalp, the mask has a brain's volume and
    keeps 4 mm away from the air, so that neither air nor skin can hold WMH."""
    volume, _ = read_flair_nifti(shared_data(*f"{scan}.nii.gz".split("/")))
    found = brain_mask(volume)
    assert 1000 < found.sum() * volume.voxel_volume_ml < 1800
    assert least_depth_mm(volume, found) > 4.0
