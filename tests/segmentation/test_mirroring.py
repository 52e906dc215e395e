"""A ventricle network that is asked about mirror images too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import tiny_model

from segmentation.bundle import ModelBundle
from segmentation.ensemble import open_ensemble
from segmentation.golden import golden_images, make_golden
from segmentation.golden_check import check_golden


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A bundle with a random ventricle network that is asked twice, and its golden predictions."""
    plain = tiny_model(tmp_path_factory.mktemp("bundle"), kind="random", members=2, ventricles=True, size=64)
    assert plain.ventricles is not None
    golden = make_golden(plain.preprocessing, plain.networks, plain.ventricles.networks, mirrors_ventricles=True)
    return replace(plain, ventricles=replace(plain.ventricles, is_mirrored=True), golden=golden)


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
@pytest.mark.slow
def test_a_mirrored_head_gets_the_mirrored_answer(bundle: ModelBundle, runtime: Any) -> None:
    """To the bit; a network that is asked once does not, and is off the golden predictions of one asked twice."""
    images = golden_images(bundle.preprocessing)
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    ensemble = open_ensemble(bundle, runtime)
    there, back = ensemble.predict_ventricles(images), ensemble.predict_ventricles(mirrored)
    assert there is not None and back is not None
    np.testing.assert_array_equal(back, there[:, :, ::-1])
    assert check_golden(bundle, ensemble).passed
    assert bundle.ventricles is not None
    once = open_ensemble(replace(bundle, ventricles=replace(bundle.ventricles, is_mirrored=False)), runtime)
    there, back = once.predict_ventricles(images), once.predict_ventricles(mirrored)
    assert there is not None and back is not None
    assert np.abs(back - there[:, :, ::-1]).max() > 0.01
    assert check_golden(bundle, once).max_difference > 0.01


def test_the_mean_is_of_both(tmp_path: Path) -> None:
    """Half of each answer, each where it belongs."""
    bundle = tiny_model(tmp_path, kind="random", members=1, ventricles=True, size=32)
    assert bundle.ventricles is not None
    images = golden_images(bundle.preprocessing)
    once = open_ensemble(bundle, "openvino")
    twice = open_ensemble(replace(bundle, ventricles=replace(bundle.ventricles, is_mirrored=True)), "openvino")
    there, back = once.predict_ventricles(images), once.predict_ventricles(np.ascontiguousarray(images[:, :, ::-1]))
    assert there is not None and back is not None
    np.testing.assert_allclose(twice.predict_ventricles(images), (there + back[:, :, ::-1]) / 2, atol=1e-6)
