"""Tiny model bundles: 1/8 width, written in a moment, for tests of everything around the network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from support.once import made_once

from segmentation.anatomy import PARTS
from segmentation.bundle import ModelBundle, load_bundle, write_bundle
from segmentation.manifest import Training
from segmentation.networks.specification import NetworkSpecification, Variant
from segmentation.preprocessing.settings import PreprocessingSettings

WIDTH = 0.125
BRIGHT_SD = 2.0
"""The `bright` network calls a pixel WMH from this many SD above the brain's mean on."""
_SURE_SD = 1.2
VENTRICLE_SD = 7.0
"""The ventricle network beside it calls a pixel ventricle from here on: what is so bright is no tissue."""

_AIR = -1.0  # in the anatomy network's input, where brain is about 0

Kind = Literal["bright", "random"]


def tiny_bundle(
    folder: Path,
    *,
    members: int = 2,
    kind: Kind = "bright",
    squeeze_excitation: bool = True,
    variant: Variant = "published",
    width: float = WIDTH,
    seed: int = 1,
    ventricles: bool = False,
    ventricle_sd: float = VENTRICLE_SD,
    size: int = 256,
    sure: bool = False,
    brain_alone: bool = False,
) -> Path:
    """Write a bundle into `folder` and return it.

    `bright`: hand-made weights whose members call pixels WMH that are about `BRIGHT_SD` brighter than the brain's mean;
    what it segments on a phantom is plausible and never empty. `random`: every weight counts, nothing is plausible;
    for agreement and determinism. `ventricles` adds a UNet of twice the width: one that calls very bright pixels
    ventricle, or a random one. `sure`: bright members that begin lower and are unsure of little; what they segment on a
    phantom without scalp (`support.phantom_series.without_scalp`) counts as reliable. `brain_alone`: the scale of that
    name, and an anatomy network that calls brain what is no air.
    """
    options = (
        members, kind, squeeze_excitation, variant, width, seed, ventricles, ventricle_sd, size, sure, brain_alone,
    )  # fmt: skip
    built = made_once(f"tiny bundle {options}", lambda half: _build(half, *options))
    shutil.copytree(built, folder, dirs_exist_ok=True)
    return folder


def tiny_model(folder: Path, **options: Any) -> ModelBundle:
    """`tiny_bundle`, loaded."""
    return load_bundle(tiny_bundle(folder, **options))


def _build(
    folder: Path,
    members: int,
    kind: Kind,
    squeeze_excitation: bool,
    variant: Variant,
    width: float,
    seed: int,
    ventricles: bool,
    ventricle_sd: float,
    size: int,
    sure: bool,
    brain_alone: bool,
) -> None:
    import keras

    from segmentation.networks.unet import build_network

    specification = NetworkSpecification(squeeze_excitation=squeeze_excitation, variant=variant, width=width, size=size)
    models = []
    for member in range(members):
        keras.utils.set_random_seed(seed * 100 + member)
        model = build_network(specification)
        if kind == "bright":
            middle, steepness = (_SURE_SD, 40.0) if sure else (BRIGHT_SD, 4.0)
            _see_bright_pixels(model, middle + 0.1 * (member - (members - 1) / 2), steepness)
        else:
            _stir(model, np.random.default_rng(seed * 100 + member))
        models.append(model)
    marker = None
    if ventricles:
        marker = build_network(NetworkSpecification(squeeze_excitation=False, width=2 * width, size=size))
        if kind == "bright":
            _see_bright_pixels(marker, threshold=ventricle_sd)
        else:
            _stir(marker, np.random.default_rng(seed * 100 + members))
    anatomy = None
    if brain_alone:
        parts = NetworkSpecification(squeeze_excitation=False, width=width, size=size, outputs=len(PARTS))
        anatomy = build_network(parts)
        _see_bright_pixels(anatomy, threshold=_AIR / 2)
    write_bundle(
        folder,
        models,
        name=f"tiny-{kind}",
        version="0.0.1",
        specification=specification,
        preprocessing=PreprocessingSettings(size=size, scale="brain-alone" if brain_alone else "slice-maximum"),
        ventricles=marker,
        anatomy=anatomy,
        training=Training(software={}, recipe="none: made by tests/support/models.py", data=()),
        licence="Apache-2.0",
        model_card="A test model. It knows nothing.\n",
    )


def _stir(model: Any, rng: np.random.Generator) -> None:
    """Give every vector its own value: fresh networks have zero biases and idle normalisation."""
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in ("bias", "beta", "moving_mean"):
                variable.assign(rng.normal(0, 0.3, variable.shape))
            elif variable.name in ("gamma", "moving_variance"):
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))


def _see_bright_pixels(model: Any, threshold: float, steepness: float = 4.0) -> None:
    """Carry the input along the topmost skip and put a sigmoid at the threshold; everything else is zero."""
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in ("kernel", "bias"):
                variable.assign(np.zeros(variable.shape, np.float32))
    shift = 4.0  # normalised background lies 3 to 4 SD below the mean, and ReLU would cut it off
    for name, source in [
        ("down1_1_conv", 0),
        ("down1_2_conv", 0),
        ("down1_3_conv", 0),
        ("up1_1_conv", int(model.get_layer("up1_deconv").filters)),
        ("up1_2_conv", 0),
        ("up1_3_conv", 0),
    ]:
        kernel, bias = model.get_layer(name).get_weights()
        kernel[1, 1, source, 0] = 1.0
        bias[0] = shift if name == "down1_1_conv" else 0.0
        model.get_layer(name).set_weights([kernel, bias])
    excited = 0.5 if any(layer.name == "down1_recalibrate" for layer in model.layers) else 1.0
    kernel, bias = model.get_layer("wmh").get_weights()
    kernel[0, 0, 0, :] = steepness / excited
    bias[:] = -steepness * (shift + threshold)
    model.get_layer("wmh").set_weights([kernel, bias])
