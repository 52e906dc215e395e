from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_model

from segmentation.ensemble import Ensemble, mean_probability, open_ensemble
from segmentation.preprocessing.case import preprocess
from segmentation.regions import RegionRule
from segmentation.segment import find_brain, segment_volume
from segmentation.uncertainty import uncertainty_index
from segmentation.volume import FlairVolume

pytestmark = pytest.mark.slow


def head(
    shape: tuple[int, int, int] = (5, 256, 256),
    spacing_mm: tuple[float, float, float] = (5.0, 1.0, 1.0),
) -> tuple[FlairVolume, np.ndarray]:
    """A grey disc of textured brain with two bright lesions through every slice, and the lesions' mask.

    Through every slice, because the published preprocessing scales each slice by its own maximum.
    """
    rng = np.random.default_rng(7)
    rows, columns = shape[1:]
    y = (np.arange(rows)[:, None] - (rows - 1) / 2) * spacing_mm[1]
    x = (np.arange(columns)[None, :] - (columns - 1) / 2) * spacing_mm[2]
    radius = 0.4 * min(rows * spacing_mm[1], columns * spacing_mm[2])
    brain = np.broadcast_to(np.hypot(y, x) < radius, shape)
    truth = np.zeros(shape, bool)
    for centre in ((-radius / 2, radius / 3), (radius / 3, -radius / 3)):
        truth |= np.hypot(y - centre[0], x - centre[1]) < radius / 8
    voxels = np.where(brain, rng.normal(400, 30, shape), 0.0)
    voxels[~brain] = np.abs(rng.normal(0, 4, int((~brain).sum())))
    voxels[truth] = 900.0
    return FlairVolume(voxels.astype(np.float32), spacing_mm), truth


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return open_ensemble(tiny_model(tmp_path_factory.mktemp("bundle"), members=3), "openvino")


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((5, 256, 256), (5.0, 1.0, 1.0)),
        ((5, 512, 512), (5.0, 0.45, 0.45)),
        ((6, 320, 256), (3.0, 0.7, 0.7)),
        ((4, 200, 320), (6.5, 1.1, 0.6)),
    ],
)
@pytest.mark.slow
def test_the_result_lies_on_the_native_grid(
    ensemble: Ensemble, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    """Mask and probability have the volume's own grid, and a lesion is found where it is, with its volume."""
    volume, truth = head(shape, spacing_mm)
    result = segment_volume(volume, ensemble)
    assert result.mask.shape == result.probability.shape == shape
    assert (result.mask.dtype, result.probability.dtype) == (np.bool_, np.float32)
    assert 0.0 <= result.probability.min() <= result.probability.max() <= 1.0
    overlap = 2 * np.count_nonzero(result.mask & truth) / (result.mask.sum() + truth.sum())
    assert overlap > 0.9
    assert result.measures.lesion_count == 2
    assert result.measures.wmh_volume_ml == pytest.approx(truth.sum() * volume.voxel_volume_ml, rel=0.1)
    assert result.measures.wmh_volume_ml == result.mask.sum() * volume.voxel_volume_ml


def test_the_mask_is_the_mean_at_or_above_a_half(ensemble: Ensemble) -> None:
    """Members are averaged first, then mapped back, then cut at the bundle's threshold, the threshold included; what
    they say outside the brain is dropped."""
    volume, _ = head((3, 320, 256), (3.0, 0.7, 0.7))
    result = segment_volume(volume, ensemble)
    case = preprocess(volume, ensemble.preprocessing)
    members = ensemble.predict(case.images)
    assert ensemble.predict_mean(case.images).tobytes() == mean_probability(members).tobytes()
    brain = find_brain(volume)
    np.testing.assert_array_equal(result.probability, case.grid.to_native(mean_probability(members)) * brain)
    np.testing.assert_array_equal(result.mask, result.probability >= 0.5)
    mapped_first = np.mean([case.grid.to_native(member) for member in members], axis=0)
    np.testing.assert_allclose(result.probability, mapped_first * brain, atol=1e-6)
    # On the networks' grid: interpolation to a finer matrix would add voxels that are neither sure nor ruled out.
    mean = mean_probability(members)
    marked = (mean >= 0.5) & case.grid.mask_to_square(brain)
    assert result.measures.uncertainty_index == uncertainty_index(mean, marked)


def test_a_half_is_wmh() -> None:
    """A mean of exactly 0.5 is a lesion: the paper's threshold is inclusive."""
    members = np.asarray([0.25, 0.75], np.float32).reshape(2, 1, 1, 1)
    assert (mean_probability(members) >= 0.5).all()


def test_twice_the_same_bits(ensemble: Ensemble) -> None:
    """The same volume gives the same mask, probabilities and measures, bit for bit."""
    volume, _ = head((5, 300, 256), (4.0, 0.8, 0.9))
    first, second = segment_volume(volume, ensemble), segment_volume(volume, ensemble)
    assert first.probability.tobytes() == second.probability.tobytes()
    assert first.mask.tobytes() == second.mask.tobytes()
    assert (first.measures, first.flags) == (second.measures, second.flags)


@pytest.mark.slow
def test_both_runtimes_agree_on_a_head(tmp_path: Path) -> None:
    """TensorFlow and OpenVINO give one mask: in f32 at most a few border voxels flip, in bf16 under 0.5 % do."""
    bundle = tiny_model(tmp_path, members=5)
    volume, truth = head((6, 320, 256), (3.0, 0.7, 0.7))
    ours = open_ensemble(bundle, "openvino")
    masks = [segment_volume(volume, e).mask for e in (ours, open_ensemble(bundle, "tensorflow"))]
    flips = int(np.count_nonzero(masks[0] ^ masks[1]))
    print(f"openvino {ours.precision} against tensorflow f32: {flips} of {int(truth.sum())} mask voxels flip")
    assert flips <= (2 if ours.precision == "f32" else 0.005 * truth.sum())


def test_no_lesion_is_a_result_too(ensemble: Ensemble) -> None:
    """A blank volume is segmented without a NaN: volume 0, index undefined, flags say what was odd."""
    blank = FlairVolume(np.zeros((3, 64, 80), np.float32), (5.0, 1.0, 1.0))
    result = segment_volume(blank, ensemble)
    assert not result.mask.any()
    assert np.isfinite(result.probability).all()
    assert result.measures.uncertainty_index is None
    assert result.measures.wmh_volume_ml == 0.0
    assert {"blank_slices", "no_histogram_peak"} <= set(result.flags)


def test_blank_slices_are_flagged(ensemble: Ensemble) -> None:
    """One slice without signal is flagged and does not disturb the others."""
    volume, _ = head()
    voxels = volume.voxels.copy()
    voxels[-1] = 0
    result = segment_volume(FlairVolume(voxels, volume.spacing_mm), ensemble)
    assert "blank_slices" in result.flags
    assert not result.mask[-1].any()
    assert result.measures.lesion_count == 2


def test_progress_names_the_stages_in_order(ensemble: Ensemble) -> None:
    """A progress bar sees each stage begin and end, and inference by slices."""
    volume, _ = head()
    seen: list[tuple[str, int, int]] = []
    segment_volume(volume, ensemble, lambda *step: seen.append(step))
    assert seen == [
        ("preprocess", 0, 1),
        ("preprocess", 1, 1),
        ("infer", 0, 5),
        ("infer", 4, 5),
        ("infer", 5, 5),
        ("measure", 0, 1),
        ("measure", 1, 1),
    ]


def test_each_stage_is_timed(ensemble: Ensemble) -> None:
    """The seconds of the three stages are there and not negative."""
    seconds = segment_volume(head()[0], ensemble).seconds
    assert min(seconds.preprocess, seconds.infer, seconds.measure) > 0


def test_the_volume_is_not_changed(ensemble: Ensemble) -> None:
    """The caller's voxels are read, never written."""
    volume, _ = head()
    before = volume.voxels.copy()
    segment_volume(volume, ensemble)
    np.testing.assert_array_equal(volume.voxels, before)


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ensemble]:
    bundle = tiny_model(tmp_path_factory.mktemp("divided"), members=1, ventricles=True)
    return {name: open_ensemble(bundle, name) for name in ("openvino", "tensorflow")}  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
@pytest.mark.slow
def test_wmh_is_divided_where_the_bundle_knows_ventricles(divided: dict[str, Ensemble], runtime: str) -> None:
    """Ventricles come back on the native grid, and the WMH near them is periventricular, by the rule asked for."""
    volume, _ = head((4, 320, 256), (5.0, 0.7, 0.7))
    voxels = volume.voxels.copy()
    voxels[:3, 120:136, 120:136] = 2000.0  # what the tiny network calls ventricle
    voxels[3, 130, 130] = 2000.0  # the slice is scaled like the others
    volume = FlairVolume(voxels, volume.spacing_mm)
    flat, solid = (
        segment_volume(volume, divided[runtime], region_rule=RegionRule(42.0, rule)) for rule in ("2d", "3d")
    )
    assert flat.ventricles is not None and flat.periventricular is not None and flat.regions is not None
    assert flat.ventricles.shape == volume.voxels.shape
    truth = np.zeros(volume.voxels.shape, bool)
    truth[:3, 120:136, 120:136] = True
    assert np.count_nonzero(flat.ventricles ^ truth) < 0.15 * truth.sum()
    assert flat.regions.ventricle_volume_ml == pytest.approx(flat.ventricles.sum() * volume.voxel_volume_ml)
    volumes = flat.regions.periventricular_volume_ml, flat.regions.deep_volume_ml
    assert sum(volumes) == pytest.approx(flat.measures.wmh_volume_ml)
    assert min(volumes) > 0
    assert not flat.periventricular[3].any()
    assert (flat.regions.distance_mm, flat.regions.distance_rule) == (42.0, "2d")
    assert solid.regions is not None and solid.regions.distance_rule == "3d"
    assert "no_ventricles_found" not in flat.flags


def test_ventricles_that_are_not_found_are_flagged(divided: dict[str, Ensemble], ensemble: Ensemble) -> None:
    """A ventricle network that finds nothing leaves the regions undefined and says so; without one nothing is said."""
    volume, _ = head()
    found = segment_volume(volume, divided["openvino"])
    assert found.ventricles is not None and not found.ventricles.any()
    assert (found.regions, found.periventricular) == (None, None)
    assert "no_ventricles_found" in found.flags
    plain = segment_volume(volume, ensemble)
    assert (plain.ventricles, plain.regions, plain.periventricular) == (None, None, None)
    assert "no_ventricles_found" not in plain.flags
