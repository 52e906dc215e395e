"""UNet and SE-UNet (paper, "Network Architecture"; where text and published code differ: docs/researcher/paper.md)."""

from __future__ import annotations

from typing import Any

from keras import KerasTensor, Model, layers

from segmentation.networks.batch_normalization import BatchNormalization
from segmentation.networks.specification import (
    BOTTLENECK_FILTERS,
    CONVOLUTIONS_PER_BLOCK,
    ENCODER_FILTERS,
    SE_RATIO,
    UPSAMPLING_FILTERS,
    NetworkSpecification,
)

DROPOUT = 0.5


def build_network(specification: NetworkSpecification, seed: int | None = None) -> Any:
    """A Keras model: float (batch, size, size, 1) -> probability float32 (batch, size, size, outputs).

    `seed` fixes the dropout masks; the weights follow the global Keras seed.
    """
    spec = specification
    published = spec.variant == "published"
    inputs = layers.Input((spec.size, spec.size, 1), name="flair")
    skips: list[KerasTensor] = []
    level_input = inputs
    for level, full in enumerate(ENCODER_FILTERS, start=1):
        name = f"down{level}"
        features = _convolutions(level_input, spec.filters(full), name)
        if spec.squeeze_excitation:
            features = _squeeze_excitation(features, name)
        skips.append(features)
        if published:
            pooled = _convolution(features, spec.filters(full), f"{name}_pool", strides=2)
            pooled = layers.Dropout(DROPOUT, seed=None if seed is None else seed + level, name=f"{name}_drop")(pooled)
            pyramid = layers.MaxPooling2D(2, name=f"{name}_pyramid")(level_input)
            level_input = layers.Concatenate(name=f"{name}_concat")([pooled, pyramid])
        else:
            level_input = layers.MaxPooling2D(2, name=f"{name}_pool")(features)
    features = _convolutions(level_input, spec.filters(BOTTLENECK_FILTERS), "bottleneck")
    kernel = 3 if published else 2
    for level, up_full in zip((3, 2, 1), UPSAMPLING_FILTERS, strict=True):
        name = f"up{level}"
        features = layers.Conv2DTranspose(
            spec.filters(up_full), kernel, strides=2, padding="same", name=f"{name}_deconv"
        )(features)
        features = layers.Concatenate(name=f"{name}_concat")([features, skips[level - 1]])
        features = _convolutions(features, spec.filters(ENCODER_FILTERS[level - 1]), name)
    # float32 whatever the compute policy: a probability near 0.5 decides a voxel.
    outputs = layers.Conv2D(spec.outputs, 1, activation="sigmoid", dtype="float32", name="wmh")(features)
    return Model(inputs, outputs, name=spec.name.lower().replace("-", "_"))


def _convolution(features: KerasTensor, filters: int, name: str, strides: int = 1) -> KerasTensor:
    features = layers.Conv2D(filters, 3, strides=strides, padding="same", name=f"{name}_conv")(features)
    features = BatchNormalization(name=f"{name}_bn")(features)
    return layers.ReLU(name=f"{name}_relu")(features)


def _convolutions(features: KerasTensor, filters: int, name: str) -> KerasTensor:
    for index in range(1, CONVOLUTIONS_PER_BLOCK + 1):
        features = _convolution(features, filters, f"{name}_{index}")
    return features


def _squeeze_excitation(features: KerasTensor, name: str) -> KerasTensor:
    """Recalibrate channels: global mean, bottleneck of ratio 16, sigmoid weights (no biases)."""
    channels = int(features.shape[-1])
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(features)
    weights = layers.Dense(max(1, channels // SE_RATIO), activation="relu", use_bias=False, name=f"{name}_excite_1")(
        weights
    )
    weights = layers.Dense(channels, activation="sigmoid", use_bias=False, name=f"{name}_excite_2")(weights)
    return layers.Multiply(name=f"{name}_recalibrate")([features, weights])
