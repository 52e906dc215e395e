"""Calibration: finds by how much a model is too sure, and by how much it marks too much."""

import numpy as np
import pytest
from scipy import optimize, special

from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume
from training.data.cases import LabelledCase
from training.fit.calibration import Calibration, LogitCounts, fold_in, held_out_calibration


def _fitted(probabilities: np.ndarray, labels: np.ndarray, parts: int = 1) -> float:
    counts = LogitCounts()
    for some, of_them in zip(np.array_split(probabilities, parts), np.array_split(labels, parts), strict=True):
        counts.add(some, of_them)
    assert len(counts) == len(labels)
    return counts.calibration().temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_how_much_too_sure_a_model_is(temperature: float) -> None:
    """Labels drawn from calibrated logits, shown multiplied by T: the temperature is T."""
    generator = np.random.default_rng(0)
    logits = generator.normal(-1, 2, 60_000)
    labels = generator.random(logits.shape) < special.expit(logits)
    assert _fitted(special.expit(logits * temperature), labels, parts=3) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 1.5])
def test_finds_how_much_too_much_a_model_marks(shift: float) -> None:
    """Labels drawn from calibrated logits, shown multiplied and moved: both numbers are found."""
    generator = np.random.default_rng(0)
    logits = generator.normal(-1, 2, 60_000)
    labels = generator.random(logits.shape) < special.expit(logits)
    counts = LogitCounts()
    counts.add(special.expit(1.6 * logits + shift), labels)
    found = counts.calibration(shifts=True)
    assert found.temperature == pytest.approx(1.6, rel=0.05)
    assert found.shift == pytest.approx(shift, abs=0.1)


def test_certain_and_wrong_is_no_error() -> None:
    """Probabilities of exactly 0 and 1 on the wrong side ask for the highest temperature, not for infinity."""
    assert _fitted(np.array([0.0, 1.0]), np.array([True, False])) == pytest.approx(8, rel=0.01)


def test_no_voxel_is_an_error() -> None:
    """There is nothing to calibrate on."""
    with pytest.raises(ValueError, match="at least one"):
        LogitCounts().calibration()


def test_counting_changes_nothing_that_counts() -> None:
    """The temperature from bins is that from every voxel to the third decimal."""
    generator = np.random.default_rng(8)
    logits = generator.normal(-3, 3, 20_000)
    labels = generator.random(logits.shape) < special.expit(logits)
    signed = np.where(labels, -1.8 * logits, 1.8 * logits)
    exact = optimize.minimize_scalar(lambda t: np.logaddexp(0, signed / t).mean(), bounds=(0.25, 8), method="bounded")
    assert _fitted(special.expit(1.8 * logits), labels) == pytest.approx(exact.x, abs=2e-3)


def test_folded_in_it_changes_the_logits() -> None:
    """The network's logits are moved and divided; no runtime needs to know."""
    model = build_network(NetworkSpecification(width=0.125, size=32), seed=1)
    images = np.random.default_rng(2).normal(size=(1, 32, 32, 1)).astype(np.float32)
    before = special.logit(np.asarray(model(images, training=False), np.float64))
    fold_in(model, Calibration(2.0, 0.5))
    after = special.logit(np.asarray(model(images, training=False), np.float64))
    np.testing.assert_allclose(after, (before - 0.5) / 2, atol=1e-4)


def test_all_members_share_one_temperature_from_the_brains_of_held_out_cases() -> None:
    """What a member says outside the brain does not count, and without a held-out case there is no temperature."""
    generator = np.random.default_rng(3)
    settings = PreprocessingSettings(size=32)
    voxels = np.zeros((4, 32, 32), np.float32)
    voxels[:, 6:26, 6:26] = generator.normal(300, 20, (4, 20, 20))
    wmh = np.zeros(voxels.shape, bool)
    wmh[:, 6:26, 6:26] = generator.random((4, 20, 20)) < 0.5
    case = LabelledCase("a", "a", FlairVolume(voxels, (5.0, 1.0, 1.0)), wmh)

    def undecided(images: np.ndarray) -> np.ndarray:
        """Right half of the time and sure of it in the brain; wrong and certain outside."""
        inside = np.zeros(images.shape, bool)
        inside[:, 6:26, 6:26] = True
        return np.where(inside, 0.9, 0.999999)

    found = held_out_calibration([(case, undecided), (case, undecided)], settings)
    assert found is not None and found.temperature == pytest.approx(8, rel=0.01)
    assert held_out_calibration([], settings) is None
