"""Pretraining on drawn scans: crops hold brain, and weights written for the repository go on elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.small_head import small_label_maps

from segmentation.preprocessing.masked import LOWEST
from training.fit.pretraining import BATCH, CROP, Drawn, build, export, exported_weights, pretrain
from training.synthesis.stream import main


def test_a_run_stops_goes_on_and_is_exported(tmp_path: Path) -> None:
    """Crops show brain; a run of two steps goes on to three; its export gives the same weights within float16."""
    main(small_label_maps(tmp_path / "label-maps"), tmp_path / "scans", count=2)
    images, labels = Drawn(tmp_path / "scans").batch(np.random.default_rng(0))
    assert images.shape == labels.shape == (BATCH, CROP, CROP, 1)
    assert (images > LOWEST).any(axis=(1, 2, 3)).all()
    for steps in (2, 3):
        pretrain(tmp_path / "scans", tmp_path / "run", steps=steps, threads=1, compute="float32")
    export(tmp_path / "run", tmp_path / "weights.npz")
    found, there = build(), build()
    found.set_weights(exported_weights(tmp_path / "weights.npz"))
    there.load_weights(tmp_path / "run" / "weights.weights.h5")
    for array, other in zip(found.get_weights(), there.get_weights(), strict=True):
        np.testing.assert_allclose(array, other, rtol=2e-3, atol=1e-3)
