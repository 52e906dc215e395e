"""The plain threshold: bright inside the head is WMH, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.segment import segment_volume
from segmentation.volume import FlairVolume
from training.evaluate.baselines.threshold import RIM, ThresholdMethod, threshold_wmh

SIZE = 64
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
RADIUS = np.hypot(ROWS - 32, COLUMNS - 32)
LESION = np.hypot(ROWS - 28, COLUMNS - 24) < 3


def _head(brightness: float = 1.0) -> FlairVolume:
    """Noise tissue with dark fluid, a bright rim as of scalp, and a lesion in the middle one of three slices."""
    rng = np.random.default_rng(3)
    voxels = np.where(RADIUS < 28, 100 + rng.normal(0, 4, (3, SIZE, SIZE)), 0.0)
    voxels[:, np.hypot(ROWS - 36, COLUMNS - 36) < 4] = 25
    voxels[:, (RADIUS >= 26) & (RADIUS < 28)] = 190
    voxels[1, LESION] = 170
    return FlairVolume((voxels * brightness).astype(np.float32), (5.0, 1.0, 1.0))


def _marked(volume: FlairVolume) -> NDArray[np.bool_]:
    return segment_volume(volume, ThresholdMethod(PreprocessingSettings(size=SIZE))).mask


def test_the_lesion_is_marked_and_scalp_and_fluid_are_not() -> None:
    """What is bright within the tissue is found; the brighter scalp is outside the inner head."""
    mask = _marked(_head())
    assert mask[1, LESION].mean() > 0.8
    assert not mask[:, RADIUS > 28 * (1 - RIM)].any()
    assert mask[1, ~LESION].sum() < 0.01 * SIZE * SIZE
    assert mask[[0, 2]].sum() < 0.01 * SIZE * SIZE


def test_brightness_of_the_scan_does_not_matter() -> None:
    """Another gain of the scanner gives nearly the same mask: the rule counts in the slice's own spread."""
    assert np.count_nonzero(_marked(_head()) ^ _marked(_head(7.3))) <= 3


@pytest.mark.parametrize("fill", [0.0, 50.0])
def test_a_scan_without_contrast_has_no_wmh(fill: float) -> None:
    """Blank or constant: nothing is marked, and nothing is divided by zero."""
    assert not _marked(FlairVolume(np.full((3, SIZE, SIZE), fill, np.float32), (5.0, 1.0, 1.0))).any()


def test_one_slice_does_not_move_another() -> None:
    """Each slice has its own mode and spread."""
    settings = PreprocessingSettings(size=SIZE)
    images = preprocess(_head(), settings).images
    brighter = images.copy()
    brighter[0] += 1.0 * (images[0] > images.min())
    assert np.array_equal(threshold_wmh(images, settings)[1:], threshold_wmh(brighter, settings)[1:])


def test_it_stands_where_an_ensemble_does() -> None:
    """One member of zeros and ones, its own identity, no ventricles; another size is refused."""
    method = ThresholdMethod(PreprocessingSettings(size=SIZE))
    heard: list[tuple[int, int]] = []
    members = method.predict(preprocess(_head(), method.preprocessing).images, lambda *at: heard.append(at))
    assert members.shape == (1, 3, SIZE, SIZE)
    assert set(np.unique(members)) == {0.0, 1.0}
    assert heard == [(0, 3), (3, 3)]
    assert method.predict_ventricles(members[0]) is None
    assert method.identity.digest != ThresholdMethod().identity.digest
    with pytest.raises(ValueError, match="expected images"):
        method.predict(members[0, :, :32])
