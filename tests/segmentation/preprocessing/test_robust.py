"""With the brain's level as scale, what is not brain changes nothing that the networks see of the brain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from support.data import shared_data

from segmentation.golden_head import draw_head
from segmentation.nifti import read_flair_nifti
from segmentation.preprocessing.case import FLAG_EXTREME_PIXELS, preprocess
from segmentation.preprocessing.intensity import histogram_peak, scale_slices, to_uint8
from segmentation.preprocessing.robust import brain_level
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume

Voxels = NDArray[np.float32]
ROBUST = PreprocessingSettings(scale="brain-level")
SIZE = ROBUST.size


def _hot_in_air(voxels: Voxels) -> Voxels:
    changed = voxels.copy()
    changed[:, 3, 3] = 65535 * 4
    return changed


def _hot_in_brain(voxels: Voxels) -> Voxels:
    changed = voxels.copy()
    changed[:, voxels.shape[1] // 2, voxels.shape[2] // 2 + 20] = 65535 * 4
    return changed


def _bright_scalp(voxels: Voxels) -> Voxels:
    """Everything brighter than nearly all brain, lesions with it."""
    changed = voxels.copy()
    changed[changed > 1.62 * (brain_level(voxels) or 0)] *= 4
    return changed


def _black_slices(voxels: Voxels) -> Voxels:
    return np.concatenate([voxels, np.zeros_like(voxels)])


CHANGES: dict[str, Callable[[Voxels], Voxels]] = {
    "hot pixels in the air": _hot_in_air,
    "hot pixels in the brain": _hot_in_brain,
    "black slices": _black_slices,
    "a tenth of the intensity": lambda voxels: voxels * np.float32(0.1),
    "forty times the intensity": lambda voxels: voxels * np.float32(40),
    "an offset": lambda voxels: voxels + np.float32(1024),
    "a negative offset": lambda voxels: voxels - np.float32(700),
    "bright scalp": _bright_scalp,
}


@pytest.fixture(scope="module")
def head() -> FlairVolume:
    """A drawn head with air around it, as a scanner gives it."""
    drawn = draw_head(SIZE)
    return FlairVolume(drawn.voxels * np.float32(8), drawn.spacing_mm)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_brain_does_not_move_the_brains_level(head: FlairVolume, change: str) -> None:
    """Hot pixels, black slices, another scale or offset, bright scalp: the level stays within 3 %."""
    changed = CHANGES[change](head.voxels)
    plain, other = brain_level(head.voxels), brain_level(changed)
    assert plain is not None
    assert other is not None
    factor = {"a tenth of the intensity": 0.1, "forty times the intensity": 40.0}.get(change, 1.0)
    assert other == pytest.approx(plain * factor, rel=0.03)


@pytest.mark.parametrize("change", sorted(CHANGES.keys() - {"hot pixels in the brain", "bright scalp"}))
def test_the_networks_see_the_same_brain(head: FlairVolume, change: str) -> None:
    """Inside the brain the networks' input moves by less than a twentieth of its SD (bright scalp is only clipped)."""
    before = preprocess(head, ROBUST).images
    after = preprocess(FlairVolume(CHANGES[change](head.voxels), head.spacing_mm), ROBUST).images[: len(before)]
    middle = np.s_[:, 90:170, 90:170]
    assert np.abs(after[middle] - before[middle]).max() < 0.05


@pytest.mark.parametrize("scale", ["slice-maximum", "brain-level"])
def test_extreme_pixels_are_flagged(head: FlairVolume, scale: str) -> None:
    """A maximum far above the 99.9th percentile is a flag with either scale, and no flag without."""
    settings = PreprocessingSettings(scale=scale)  # type: ignore[arg-type]
    assert FLAG_EXTREME_PIXELS not in preprocess(head, settings).flags
    hot = FlairVolume(_hot_in_air(head.voxels), head.spacing_mm)
    assert FLAG_EXTREME_PIXELS in preprocess(hot, settings).flags


REAL = (
    ("flair-wmh", "101228", "flair.nii.gz"),
    ("flair-wmh", "106639", "flair.nii.gz"),
    ("flair-unlabelled", "openms_patient03_study1.nii.gz"),
    ("flair-other", "tcga-fg-6692_siemens_glioma.nii.gz"),
)


@pytest.mark.shared_data
@pytest.mark.parametrize("scan", REAL, ids=lambda scan: scan[1][:14])
def test_level_of_real_scans(scan: tuple[str, ...]) -> None:
    """On real scans of three vendors no change of what is not brain moves the level by 3 %."""
    volume, _ = read_flair_nifti(shared_data(*scan))
    plain = brain_level(volume.voxels)
    assert plain is not None
    for change in ("hot pixels in the air", "black slices", "an offset", "bright scalp"):
        assert brain_level(CHANGES[change](volume.voxels)) == pytest.approx(plain, rel=0.03), change


@pytest.mark.shared_data
@pytest.mark.parametrize("scan", REAL, ids=lambda scan: scan[1][:14])
def test_the_highest_peak_is_the_brains(scan: tuple[str, ...]) -> None:
    """By the rule `highest` a real scan's peak is that of its brain and not of the air around it."""
    volume, _ = read_flair_nifti(shared_data(*scan))
    grey = to_uint8(scale_slices(volume.voxels))
    peak = histogram_peak(grey, PreprocessingSettings(peak="highest"))
    assert peak is not None
    assert (grey > peak).mean() < 0.3
    # The same level in grey values: the slice in the middle shows it, scaled as the others are.
    level = brain_level(scale_slices(volume.voxels))
    assert level is not None
    assert peak == pytest.approx(level, rel=0.35)
