"""TensorFlow: the reference runtime, the trainer's, and the one for GPUs."""

from __future__ import annotations

import os
from typing import Any, Final

# Read once, when TensorFlow loads: its notes on instruction sets are no news to an operator.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from segmentation.bundle import ModelBundle
from segmentation.errors import BadBundle, RuntimeUnavailable
from segmentation.graph import NetworkGraph, Weights
from segmentation.networks.unet import build_network
from segmentation.runtimes.runtime import BATCH


class TensorFlowRuntime:
    """All members as one `tf.function`, float32, without XLA (which was slower in every measurement, stack.md)."""

    name: Final = "tensorflow"
    precision: Final = "f32"

    def __init__(self, bundle: ModelBundle, threads: int | None = None) -> None:
        """Build and trace; about 10 s on a CPU, so that the first case does not pay for it."""
        if threads is not None:
            _limit_threads(threads)
        if gpu_count():
            # Convolutions would run in TF32 (10 bits of mantissa) under the name of f32.
            tf.config.experimental.enable_tensor_float_32_execution(False)
        members = [keras_member(bundle, weights) for weights in bundle.weights]
        size = bundle.specification.size

        def forward(images: Any) -> Any:
            return tf.stack([member(images[..., tf.newaxis], training=False)[..., 0] for member in members])

        signature = [tf.TensorSpec((BATCH, size, size), tf.float32)]
        self._members = members  # the function holds its variables weakly
        self._forward = tf.function(forward, input_signature=signature, jit_compile=False).get_concrete_function()

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(BATCH, row, column) -> (member, BATCH, row, column); see `Runtime.run`."""
        probabilities: NDArray[np.float32] = self._forward(tf.constant(batch)).numpy()
        return probabilities


def gpu_count() -> int:
    """GPUs that this build of TensorFlow can use."""
    return len(tf.config.list_physical_devices("GPU"))


def keras_member(bundle: ModelBundle, weights: Weights) -> Any:
    """A Keras model with one member's weights.

    Raises:
        BadBundle: the network that this version builds is not the one in the bundle.
    """
    model = build_network(bundle.specification)
    if NetworkGraph.from_keras(model) != bundle.graph:
        raise BadBundle(
            "this version of wmh-node builds another network under the bundle's architecture name: "
            "use runtime openvino, which follows the bundle's graph.json, or the version that wrote the bundle"
        )
    for node in bundle.graph.nodes:
        for variable in model.get_layer(node.name).weights:
            variable.assign(weights[f"{node.name}/{variable.name}"])
    return model


def _limit_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise RuntimeUnavailable(
            f"TensorFlow has run already in this process and cannot change to {threads} threads: {error}"
        ) from error
