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


def _logits_of(patient: int, wmh: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a member that marks too much, of voxels of which so many are WMH, and which these are."""
    generator = np.random.default_rng(patient)
    labels = generator.random(20_000) < wmh
    return generator.normal(np.where(labels, 6.0, -2.0), 2.0), labels


def _dsc(logits: np.ndarray, labels: np.ndarray, cut: float) -> float:
    marked = logits >= cut
    return float(2 * (marked & labels).sum() / (marked.sum() + labels.sum()))


def test_the_amount_is_that_of_the_best_dsc() -> None:
    """After the shift the threshold 0.5 has the best mean DSC of the patients within 0.005, whatever it was before; the
    temperature is the one that fits what was moved."""
    cases = [_logits_of(1, 0.02), _logits_of(2, 0.05), _logits_of(3, 0.3)]
    counts = LogitCounts()
    for number, (logits, labels) in enumerate(cases):
        counts.add(special.expit(logits), labels, str(number))
    found = counts.calibration(shifts=True)
    mean = [np.mean([_dsc(*case, cut) for case in cases]) for cut in np.linspace(-4, 8, 241)]
    assert np.mean([_dsc(*case, found.shift) for case in cases]) > max(mean) - 0.005 > mean[80]
    logits, labels = (np.concatenate(part) for part in zip(*cases, strict=True))
    assert found.temperature == pytest.approx(_fitted(special.expit(logits - found.shift), labels), rel=0.01)


def test_a_patient_of_many_cases_counts_once() -> None:
    """Nine cases of one patient move the threshold no more than one of them does; a case without WMH moves nothing."""
    one, other = _logits_of(1, 0.02), _logits_of(2, 0.3)
    counts, repeated = LogitCounts(), LogitCounts()
    for where, times in ((counts, 1), (repeated, 9)):
        for _ in range(times):
            where.add(special.expit(one[0] - 4), one[1], "one")
        where.add(special.expit(other[0]), other[1], "other")
    repeated.add(special.expit(one[0]), np.zeros_like(one[1]), "healthy")
    assert repeated.calibration(shifts=True).shift == pytest.approx(counts.calibration(shifts=True).shift, abs=0.02)


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
