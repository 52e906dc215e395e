"""The anatomy network's input and what is made of its output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import tiny_model

from segmentation.anatomy import PARTS, anatomy_images, anatomy_of, clean_brain
from segmentation.bundle import ModelBundle, load_bundle, write_bundle
from segmentation.ensemble import open_ensemble
from segmentation.errors import BadBundle
from segmentation.golden_head import draw_head
from segmentation.networks.rebuild import keras_network
from segmentation.networks.specification import NetworkSpecification
from segmentation.volume import FlairVolume

SIZE = 64


def test_the_input_does_not_know_scale_or_offset() -> None:
    """A scanner's scale and offset change the network's images by less than a hundredth of the brain's level."""
    head = draw_head(128)
    plain, _ = anatomy_images(head, SIZE)
    other, _ = anatomy_images(FlairVolume(head.voxels * np.float32(30) + np.float32(500), head.spacing_mm), SIZE)
    assert plain.shape == (len(head.voxels), SIZE, SIZE)
    assert np.abs(plain - other).max() < 0.01
    assert plain.min() == pytest.approx(-1, abs=0.05)


def test_no_signal_is_no_brain() -> None:
    """A volume of one value gives images of air and no crash."""
    images, _ = anatomy_images(FlairVolume(np.zeros((3, 40, 40), np.float32), (5.0, 1.0, 1.0)), SIZE)
    assert (images == -1).all()


def test_small_bodies_beside_the_brain_are_none_of_it() -> None:
    """A jaw that the network took for brain is dropped; a lobe of a tenth of the brain and holes in it are kept."""
    mask = np.zeros((4, 60, 60), bool)
    mask[:, 10:40, 10:40] = True
    mask[1, 20:24, 20:24] = False
    mask[1:3, 45:55, 10:22] = True
    mask[0, 50:53, 50:53] = True
    mask[3, 20:23, 40:50] = True  # muscle on a thin bridge
    mask[3, 16:26, 50:56] = True
    cleaned = clean_brain(mask, (1.0, 1.0))
    assert cleaned[1, 21, 21]
    assert cleaned[2, 50, 15]
    assert not cleaned[0, 51, 51]
    assert not cleaned[3, 21, 53]
    assert cleaned[3, 21, 39]


def test_parts_lie_in_the_brain_on_the_native_grid() -> None:
    """Every part has the volume's own shape, and none lies outside the brain."""
    volume = FlairVolume(np.random.default_rng(0).random((3, 50, 70), np.float32), (5.0, 1.0, 1.0))
    _, grid = anatomy_images(volume, SIZE)
    probabilities = np.zeros((len(PARTS), 3, SIZE, SIZE), np.float32)
    probabilities[:, :, 20:44, 20:44] = 0.9
    probabilities[1:, :, 5:15, 5:15] = 0.9
    found = anatomy_of(probabilities, grid)
    assert found.brain.shape == volume.voxels.shape
    assert found.brain.any()
    for part in (found.ventricles, found.infratentorial, found.cortex):
        assert part.any()
        assert not (part & ~found.brain).any()


@pytest.mark.slow
def test_a_bundle_with_an_anatomy_network(tmp_path: Path) -> None:
    """What is written is read back and marks parts on the native grid; a bundle without has none, nor wrong outputs."""
    import keras

    from segmentation.networks.unet import build_network

    plain = tiny_model(tmp_path / "plain", size=32)
    keras.utils.set_random_seed(3)
    parts = build_network(NetworkSpecification(squeeze_excitation=False, width=0.125, size=SIZE, outputs=len(PARTS)))
    members = [keras_network(plain.specification, plain.graph, weights) for weights in plain.weights]

    def write(anatomy: Any) -> ModelBundle:
        return write_bundle(
            tmp_path / "with",
            members,
            name="tried",
            version="1.0.0",
            specification=plain.specification,
            preprocessing=plain.preprocessing,
            training=plain.manifest.training,
            licence="Apache-2.0",
            model_card="A card.",
            anatomy=anatomy,
        )

    write(parts)
    bundle = load_bundle(tmp_path / "with")
    assert bundle.anatomy is not None
    assert bundle.anatomy.specification.outputs == len(PARTS)
    head = draw_head(48)
    found = open_ensemble(bundle, "openvino").predict_anatomy(head)
    assert found is not None
    assert found.brain.shape == head.voxels.shape
    assert plain.anatomy is None
    assert open_ensemble(plain, "openvino").predict_anatomy(head) is None
    with pytest.raises(BadBundle, match="of 5 outputs, got 1"):
        write(members[0])
