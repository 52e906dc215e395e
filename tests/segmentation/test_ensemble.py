"""An ensemble that was warmed up has nothing left to compile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.models import tiny_model

from segmentation.ensemble import Ensemble
from segmentation.runtimes.openvino import OpenVinoRuntime
from segmentation.runtimes.runtime import Runtime


def test_a_warm_ensemble_compiles_nothing_in_a_case(tmp_path: Path) -> None:
    """The ventricle network is compiled by the warming up, once, and computes what a cold one does."""
    bundle = tiny_model(tmp_path, kind="random", members=1, ventricles=True, size=32)
    assert bundle.ventricles is not None
    networks = bundle.ventricles.networks
    compiled = []

    def opened() -> Runtime:
        compiled.append(networks)
        return OpenVinoRuntime(networks)

    images = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    cold = Ensemble(bundle, OpenVinoRuntime(bundle.networks), opened).predict_ventricles(images)
    assert len(compiled) == 1
    ensemble = Ensemble(bundle, OpenVinoRuntime(bundle.networks), opened)
    ensemble.warm_up()
    ensemble.warm_up()
    assert len(compiled) == 2
    np.testing.assert_array_equal(ensemble.predict_ventricles(images), cold)
    assert len(compiled) == 2
