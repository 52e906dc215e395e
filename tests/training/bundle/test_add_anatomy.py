"""A bundle gets an anatomy network, and nothing else of it changes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_bundle

from segmentation.bundle import load_bundle
from segmentation.ensemble import open_ensemble
from segmentation.golden_check import check_golden
from segmentation.golden_head import draw_head
from segmentation.networks.unet import build_network
from training.bundle.add_anatomy import add_anatomy
from training.bundle.anatomy import from_bundle
from training.bundle.anatomy.fit import SPECIFICATION, WEIGHTS_NAME
from training.bundle.anatomy.score import SCORES_NAME, AnatomyScore, network
from training.errors import OtherRun


def _run(folder: Path) -> Path:
    """A network of random weights, scored."""
    folder.mkdir()
    build_network(SPECIFICATION, seed=4).save_weights(folder / WEIGHTS_NAME)
    scores = [AnatomyScore("a", False, 0.9, 0.8, 0.7, 1.0), AnatomyScore("b", True, None, None, None, 0.95)]
    (folder / SCORES_NAME).write_text(json.dumps([asdict(score) for score in scores]))
    return folder


def test_a_bundle_gets_an_anatomy_network(tmp_path: Path) -> None:
    """Members stay to the bit; version, card and golden predictions know the network, and a served one passes them."""
    folder = tiny_bundle(tmp_path / "model", members=2, ventricles=True)
    before = load_bundle(folder).manifest
    after = add_anatomy(folder, _run(tmp_path / "run"), "2.0.0")
    kept = [name for name in before.files if name.endswith(".npz") and name != "golden.npz"]
    assert len(kept) == 3
    assert all(after.manifest.files[name] == before.files[name] for name in kept)
    assert after.identity.version == "2.0.0"
    assert after.anatomy is not None
    card = (folder / "MODEL_CARD.md").read_text()
    assert "without the cases" in card
    assert "| Dice of the ventricles | 0.700 | - |" in card
    ensemble = open_ensemble(after, "openvino")
    assert check_golden(after, ensemble).passed
    found = ensemble.predict_anatomy(draw_head(48))
    assert found is not None
    assert found.brain.shape == draw_head(48).voxels.shape
    assert after.golden is not None and after.golden.anatomy is not None
    other = replace(after, golden=replace(after.golden, anatomy=np.zeros_like(after.golden.anatomy)))
    assert not check_golden(other, ensemble).passed


def test_the_network_comes_out_of_a_bundle_again(tmp_path: Path) -> None:
    """What is taken out of a bundle for the next one has the same weights; a bundle without such a network is named."""
    folder = tiny_bundle(tmp_path / "model")
    with pytest.raises(OtherRun, match="expected a bundle with an anatomy network"):
        from_bundle.main(tmp_path / "out", folder)
    added = add_anatomy(folder, _run(tmp_path / "run"), "2.0.0")
    from_bundle.main(tmp_path / "out", folder)
    assert added.anatomy is not None
    model = network(tmp_path / "out" / WEIGHTS_NAME)
    for ours, theirs in zip(model.get_weights(), network(tmp_path / "run" / WEIGHTS_NAME).get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)  # float16 in a bundle


def test_a_run_without_scores_is_refused(tmp_path: Path) -> None:
    """A network that was not scored goes into no bundle, and the bundle stays as it is."""
    folder = tiny_bundle(tmp_path / "model")
    before = load_bundle(folder).identity
    run = _run(tmp_path / "run")
    (run / SCORES_NAME).unlink()
    with pytest.raises(OtherRun, match=SCORES_NAME):
        add_anatomy(folder, run, "2.0.0")
    assert load_bundle(folder).identity == before
