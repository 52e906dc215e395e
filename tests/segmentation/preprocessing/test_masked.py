"""Inside the brain alone: what lies outside it changes nothing."""

from __future__ import annotations

import numpy as np

from segmentation.preprocessing.case import FLAG_EMPTY_BRAIN_MASK, preprocess
from segmentation.preprocessing.masked import LOWEST, grown, masked_images
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume

BRAIN_ALONE = PreprocessingSettings(size=64, scale="brain-alone")


def _slices() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    pixels = generator.normal(400, 60, (3, 64, 64)).astype(np.float32)
    brain = np.zeros(pixels.shape, bool)
    brain[:, 16:48, 20:44] = True
    return pixels, brain


def test_scalp_and_scale_do_not_matter() -> None:
    """Ten times brighter scalp, a scale and an offset give the same images; a stripped scan too, but for a rim."""
    pixels, brain = _slices()
    plain = masked_images(pixels, brain, 1.0)
    outside = ~grown(brain, 4)
    for other in (pixels * np.float32(7) + np.float32(900), np.where(outside, pixels * 10, pixels)):
        np.testing.assert_allclose(masked_images(other.astype(np.float32), brain, 1.0), plain, atol=1e-3)
    stripped = masked_images(np.where(brain, pixels, 0).astype(np.float32), brain, 1.0)
    np.testing.assert_allclose(stripped[brain], plain[brain], atol=1e-5)
    assert (plain[outside] == LOWEST).all()


def test_hot_pixels_in_the_brain_do_not_matter() -> None:
    """One hot pixel a slice moves the rest of the brain by less than a fiftieth of an SD."""
    pixels, brain = _slices()
    hot = pixels.copy()
    hot[:, 30, 30] = 65535
    moved = np.abs(masked_images(hot, brain, 1.0) - masked_images(pixels, brain, 1.0))
    moved[:, 30, 30] = 0
    assert moved.max() < 0.02


def test_no_brain_is_blank() -> None:
    """Without a brain the images are of one value."""
    pixels, brain = _slices()
    assert (masked_images(pixels, np.zeros_like(brain), 1.0) == LOWEST).all()


def test_a_case_is_shown_by_its_brain_alone() -> None:
    """By the scale `brain-alone` scalp, scale, offset and a hot pixel a slice change no other pixel."""
    pixels, brain = _slices()
    fine, fine_brain = (np.repeat(np.repeat(array, 2, axis=1), 2, axis=2) for array in (pixels, brain))

    def shown(voxels: np.ndarray) -> np.ndarray:
        return preprocess(FlairVolume(voxels.astype(np.float32), (5.0, 0.5, 0.5)), BRAIN_ALONE, fine_brain).images

    plain = shown(fine)
    far = ~grown(fine_brain, 12)
    np.testing.assert_allclose(shown(np.where(far, 4000, fine) * 3 + 200), plain, atol=5e-3)
    hot = fine.copy()
    hot[:, 60, 60] = 65535
    moved = np.abs(shown(hot) - plain)
    moved[:, 27:34, 27:34] = 0
    assert moved.max() < 0.05


def test_a_case_without_brain_is_blank_and_flagged() -> None:
    """No brain, no picture: the flag says why."""
    pixels, brain = _slices()
    found = preprocess(FlairVolume(pixels, (5.0, 1.0, 1.0)), BRAIN_ALONE, np.zeros_like(brain))
    assert (found.images == LOWEST).all()
    assert FLAG_EMPTY_BRAIN_MASK in found.flags
