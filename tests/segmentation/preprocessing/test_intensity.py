"""Grey values become what the paper's networks were given."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import signal

from segmentation.preprocessing.case import (
    FLAG_BLANK_SLICES,
    FLAG_EMPTY_BRAIN_MASK,
    FLAG_NO_HISTOGRAM_PEAK,
    preprocess,
)
from segmentation.preprocessing.intensity import (
    brain_mask,
    find_peaks,
    histogram_peak,
    normalise,
    scale_slices,
    to_uint8,
)
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume


def test_each_slice_is_scaled_by_its_own_maximum() -> None:
    """Every slice reaches 255; a blank slice stays zero and makes no NaN."""
    pixels = np.zeros((3, 4, 4), np.float32)
    pixels[0, 0, 0], pixels[1, 1, 1] = 10, 4000
    assert scale_slices(pixels).max(axis=(1, 2)).tolist() == [255, 255, 0]


def test_overshoot_is_clipped_before_uint8() -> None:
    """Cubic undershoot becomes 0 and not 250."""
    assert to_uint8(np.array([[[-6.0, 0.4, 261.0]]], np.float32)).tolist() == [[[0, 0, 255]]]


def _two_peaks() -> np.ndarray:
    # 5000 pixels near 60 (the highest peak), 1000 near 160 (the one nearest to 150).
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(60, 4, 5000), generator.normal(160, 4, 1000)])
    return np.clip(values, 1, 255).astype(np.uint8)[None, None]


@pytest.mark.parametrize(("rule", "low", "high"), [("nearest", 152, 168), ("highest", 52, 68)])
def test_peak_rules(rule: str, low: float, high: float) -> None:
    """`nearest` takes the peak nearest to 150 and `highest` the highest one, as bin centres."""
    peak = histogram_peak(_two_peaks(), PreprocessingSettings(peak=rule))  # type: ignore[arg-type]
    assert peak is not None
    assert low <= peak <= high
    assert (peak - 4) % 8 == 0


def test_holes_are_filled_on_every_slice() -> None:
    """Ventricles, dark inside the head, belong to the brain mask on each slice."""
    head = np.zeros((2, 20, 20), np.float32)
    head[:, 3:17, 3:17] = 100
    head[:, 8:12, 8:12] = 5
    assert brain_mask(head, 30)[:, 10, 10].all()
    assert not brain_mask(head, 30)[:, 0, 0].any()


def test_normalised_inside_the_mask() -> None:
    """Mean 0 and SD 1 inside the mask, the same shift and scale outside."""
    grey = np.random.default_rng(0).normal(80, 20, (2, 32, 32)).astype(np.float32)
    mask = grey > 70
    out = normalise(grey, mask)
    assert abs(out[mask].mean()) < 1e-4
    assert abs(out[mask].std() - 1) < 1e-4
    np.testing.assert_allclose(np.diff(out[~mask]) / np.diff(grey[~mask]), 1 / grey[mask].std(), rtol=1e-2)


def test_blank_case_is_flagged_not_nan() -> None:
    """A case without any signal comes out finite, with flags that say why."""
    ready = preprocess(FlairVolume(np.zeros((2, 64, 64), np.float32), (5.0, 1.0, 1.0)))
    assert np.isfinite(ready.images).all()
    assert set(ready.flags) == {FLAG_BLANK_SLICES, FLAG_EMPTY_BRAIN_MASK, FLAG_NO_HISTOGRAM_PEAK}


@pytest.mark.parametrize("peak", ["nearest", "highest"])
def test_intensity_units_do_not_matter(peak: str) -> None:
    """The scanner's scale factor changes nothing that the networks see."""
    voxels = np.random.default_rng(0).gamma(4, 100, (3, 64, 64)).astype(np.float32)
    settings = PreprocessingSettings(peak=peak)  # type: ignore[arg-type]
    one = preprocess(FlairVolume(voxels, (5.0, 1.0, 1.0)), settings)
    two = preprocess(FlairVolume(voxels * np.float32(8), (5.0, 1.0, 1.0)), settings)
    assert np.array_equal(one.images, two.images)


@given(st.lists(st.integers(0, 4), max_size=40))
@example([])
@example([3])
@example([1, 1, 1])
@example([0, 2, 2, 2, 0])
@example([0, 2, 2, 2, 2, 1])
@example([2, 2, 0, 1, 1])
def test_peaks_are_scipys(values: list[int]) -> None:
    """Peaks, plateaus and ends are taken as `scipy.signal.find_peaks` takes them."""
    counts = np.asarray(values, np.int64)
    assert find_peaks(counts).tolist() == signal.find_peaks(counts)[0].tolist()


def test_preprocessing_does_not_load_scipy_signal() -> None:
    """Importing scipy.signal costs a second, which no command should wait for."""
    code = "import sys; import segmentation.preprocessing.case; print('scipy.signal' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
