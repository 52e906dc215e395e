from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from support.models import tiny_model

from segmentation.bundle import ModelBundle, load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.errors import BadBundle
from segmentation.golden import (
    GOLDEN_NAME,
    Golden,
    golden_images,
    pack_golden,
    parse_golden,
)
from segmentation.golden_check import GoldenVerdict, check_golden
from segmentation.golden_head import SLICES, draw_head
from segmentation.npz import pack_arrays
from segmentation.preprocessing.case import preprocess
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.runtimes.openvino import build_model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return tiny_model(tmp_path_factory.mktemp("bundle"), kind="random", members=3, ventricles=True, size=64)


class OpenVinoAt:
    """OpenVINO at a precision that this CPU would not choose by itself."""

    name = "openvino"

    def __init__(self, networks: Any, precision: str) -> None:
        self.precision = precision
        self._count = networks.count
        model = build_model(networks.graph, networks.weights)
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
        self._request = compiled.create_infer_request()

    def run(self, batch: np.ndarray) -> np.ndarray:
        self._request.infer({0: batch[:, np.newaxis]})
        return np.stack([self._request.get_output_tensor(i).data[:, 0].copy() for i in range(self._count)])


def opened_at(bundle: ModelBundle, precision: str) -> Ensemble:
    assert bundle.ventricles is not None
    marker = bundle.ventricles.networks
    return Ensemble(bundle, OpenVinoAt(bundle.networks, precision), lambda: OpenVinoAt(marker, precision))


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
@pytest.mark.slow
def test_both_runtimes_reproduce_the_golden_predictions(bundle: ModelBundle, runtime: Any) -> None:
    """What is written passes its own check by either runtime, at the precision that the machine chooses."""
    verdict = check_golden(bundle, open_ensemble(bundle, runtime))
    assert verdict.passed
    assert verdict.max_difference < 0.25


@pytest.mark.parametrize(("precision", "limit"), [("f32", 0.001), ("bf16", 0.12)])
def test_every_precision_passes(bundle: ModelBundle, precision: str, limit: float) -> None:
    """float32 and bfloat16 pass, float32 much closer."""
    verdict = check_golden(bundle, opened_at(bundle, precision))
    assert verdict.passed
    assert verdict.max_difference < limit


def test_a_missing_member_fails(bundle: ModelBundle) -> None:
    """An ensemble that lost a member, or runs one twice in its place, is found."""
    fewer = replace(bundle, weights=bundle.weights[:2])
    assert not check_golden(bundle, opened_at(fewer, "f32")).passed
    doubled = replace(bundle, weights=(bundle.weights[0], bundle.weights[0], bundle.weights[1]))
    assert not check_golden(bundle, opened_at(doubled, "f32")).passed


def swapped(weights: Any) -> dict[str, np.ndarray]:
    first, second = "down1_2_conv/kernel", "down1_3_conv/kernel"
    return {**weights, first: weights[second], second: weights[first]}


def test_a_swapped_weight_fails(bundle: ModelBundle) -> None:
    """Two kernels of one shape in each other's place are found, in a member and in the ventricle network."""
    member = replace(bundle, weights=(*bundle.weights[:2], swapped(bundle.weights[2])))
    assert not check_golden(bundle, opened_at(member, "f32")).passed
    assert bundle.ventricles is not None
    networks = bundle.ventricles.networks
    marker = replace(bundle.ventricles, networks=replace(networks, weights=(swapped(networks.weights[0]),)))
    assert not check_golden(bundle, opened_at(replace(bundle, ventricles=marker), "f32")).passed


@pytest.mark.slow
def test_bf16_is_distinguished_from_another_model_with_real_weights() -> None:
    """With the shipped weights bfloat16 passes; a member that runs twice, or two kernels in each other's place, do not.

    Only trained members disagree by more than bfloat16 rounds.
    """
    shipped = load_bundle(reference_bundle())
    images = golden_images(shipped.preprocessing)
    probability = Ensemble(shipped, OpenVinoAt(shipped.networks, "f32")).predict(images).mean(axis=0)
    bundle = replace(shipped, golden=Golden(images, probability, None), ventricles=None)

    def verdict(*weights: Any) -> GoldenVerdict:
        changed = replace(bundle, weights=weights)
        return check_golden(bundle, Ensemble(changed, OpenVinoAt(changed.networks, "bf16")))

    members = bundle.weights
    assert verdict(*members).passed
    doubled = verdict(members[1], *members[1:])
    assert not doubled.passed
    assert doubled.flipped > 0
    assert not verdict(swapped(members[0]), *members[1:]).passed


def test_lost_ventricles_and_nan_fail(bundle: ModelBundle) -> None:
    """An ensemble without the ventricle network, or one that computes NaN, does not pass."""
    assert not check_golden(bundle, open_ensemble(replace(bundle, ventricles=None), "openvino")).passed
    sick = {key: np.full_like(values, np.nan) for key, values in bundle.weights[0].items()}
    ensemble = open_ensemble(replace(bundle, weights=(sick, *bundle.weights[1:])), "openvino")
    assert not check_golden(bundle, ensemble).passed


def test_a_bundle_without_golden_predictions_says_so(bundle: ModelBundle) -> None:
    """The check of an old bundle is refused with a clear error, not passed."""
    old = replace(bundle, golden=None)
    with pytest.raises(BadBundle, match="no golden predictions"):
        check_golden(old, open_ensemble(old, "openvino"))


@pytest.mark.parametrize("size", [32, 256])
def test_the_drawn_head_is_one(size: int) -> None:
    """The same head every time, with a brain, dark ventricles and bright lesions, and nothing that is flagged."""
    head = draw_head(size)
    assert head.voxels.shape == (SLICES, size, size)
    assert head.voxels.tobytes() == draw_head(size).voxels.tobytes()
    case = preprocess(head, PreprocessingSettings(size=size))
    assert case.flags == ()
    middle = size // 2
    brain = case.images[case.brain_mask]
    assert 0.2 < case.brain_mask.mean() < 0.6
    assert case.images[1, middle - 1 : middle + 2].min() < np.quantile(brain, 0.1), "a ventricle in the middle row"
    np.testing.assert_allclose(golden_images(PreprocessingSettings(size=size)), case.images, atol=0.005)


def test_golden_predictions_come_back(bundle: ModelBundle) -> None:
    """Images and probabilities survive packing to the bit, and are probabilities."""
    golden = bundle.golden
    assert golden is not None and golden.ventricles is not None
    again = parse_golden(pack_golden(golden), SLICES, 64, ventricles=True)
    assert again.images.tobytes() == golden.images.tobytes()
    assert again.probability.tobytes() == golden.probability.tobytes()
    assert again.ventricles is not None and again.ventricles.tobytes() == golden.ventricles.tobytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("ventricles"), "first difference: ventricles"),
        (lambda a: a.update(probability=np.full((1, 16, 16), 1.5, np.float16)), "probabilities in 0..1"),
        (lambda a: a.update(images=np.zeros((2, 16, 16), np.float16)), "expected shape"),
        (lambda a: a.update(images=np.full((1, 16, 16), np.nan, np.float16)), "finite"),
    ],
)
def test_foreign_golden_predictions_are_refused(change: Any, words: str) -> None:
    """golden.npz is read without trust: names, shapes and values are checked."""
    arrays = {name: np.zeros((1, 16, 16), np.float16) for name in ("images", "probability", "ventricles")}
    change(arrays)
    with pytest.raises(BadBundle, match=rf"{GOLDEN_NAME}.*{words}"):
        parse_golden(pack_arrays(arrays), 1, 16, ventricles=True)


def test_the_ventricle_network_is_compiled_when_asked_for(tmp_path: Path, bundle: ModelBundle) -> None:
    """The ventricle network runs only when asked for; without one the answer is None."""
    opened: list[str] = []
    marker = bundle.ventricles
    assert marker is not None

    def open_marker() -> Any:
        opened.append("ventricles")
        return OpenVinoAt(marker.networks, "f32")

    images = golden_images(bundle.preprocessing)
    ensemble = Ensemble(bundle, OpenVinoAt(bundle.networks, "f32"), open_marker)
    ensemble.predict(images)
    assert opened == []
    first, second = ensemble.predict_ventricles(images), ensemble.predict_ventricles(images[:1])
    assert opened == ["ventricles"]
    assert first is not None and second is not None
    assert first.shape == images.shape
    assert first[:1].tobytes() == second.tobytes()
    plain = tiny_model(tmp_path, kind="random", members=1, size=64)
    assert open_ensemble(plain, "openvino").predict_ventricles(images) is None
