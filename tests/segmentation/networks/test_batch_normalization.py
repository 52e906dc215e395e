"""Batch normalisation by the fused kernel."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from segmentation.networks.batch_normalization import BatchNormalization


def _trained(layer: keras.layers.Layer, x: np.ndarray, y: np.ndarray) -> keras.Model:
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layer(inputs))
    model.layers[1].set_weights([np.array(w, np.float32) for w in ([1.5, 1, 0.5], [0, 1, 2], [1, 0, 0], [1, 2, 1])])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    for _ in range(3):
        model.train_on_batch(x, y)
    return model


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX goes Keras's way")
def test_it_trains_as_keras_does() -> None:
    """After steps of training, weights, moving statistics and predictions are those of Keras's own layer."""
    random = np.random.default_rng(0)
    x, y = (random.normal(2, 3, (4, 6, 6, 3)).astype(np.float32) for _ in range(2))
    keras.config.set_dtype_policy("float32")
    ours, theirs = (_trained(kind(name="bn"), x, y) for kind in (BatchNormalization, keras.layers.BatchNormalization))
    for mine, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-4, atol=1e-4)


def test_frozen_layers_keep_their_statistics() -> None:
    """A layer that is not trainable normalises by its moving statistics, in training too."""
    layer = BatchNormalization()
    x = np.random.default_rng(0).normal(5, 2, (2, 4, 4, 3)).astype(np.float32)
    layer(x)
    layer.trainable = False
    before = [np.array(array) for array in layer.get_weights()]
    np.testing.assert_allclose(np.array(layer(x, training=True)), np.array(layer(x, training=False)))
    for mine, expected in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, expected)
