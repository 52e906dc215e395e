"""TensorFlow: the reference runtime, the trainer's, and the one for GPUs."""

from __future__ import annotations

import os
from typing import Any, Final

from segmentation.runtimes.environment import tensorflow_environment

os.environ.update(tensorflow_environment())

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from segmentation.errors import RuntimeUnavailable
from segmentation.networks.network_set import NetworkSet
from segmentation.networks.rebuild import keras_network
from segmentation.runtimes.runtime import BATCH


class TensorFlowRuntime:
    """All members as one `tf.function`, float32, without XLA (slower: docs/maintainer/benchmarks.md)."""

    name: Final = "tensorflow"
    precision: Final = "f32"

    def __init__(self, networks: NetworkSet, threads: int | None = None) -> None:
        """Build and trace; about 10 s on a CPU, so that the first case does not pay for it."""
        if threads is not None:
            limit_threads(threads)
        if gpu_count():
            prepare_gpus()
        members = [keras_network(networks.specification, networks.graph, weights) for weights in networks.weights]
        size = networks.specification.size

        def forward(images: Any) -> Any:
            found = [member(images[..., tf.newaxis], training=False) for member in members]
            return tf.transpose(tf.concat(found, axis=-1), (3, 0, 1, 2))

        signature = [tf.TensorSpec((BATCH, size, size), tf.float32)]
        self._members = members  # the function holds its variables weakly
        self._forward = tf.function(forward, input_signature=signature, jit_compile=False).get_concrete_function()

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(BATCH, row, column) -> (member, BATCH, row, column); see `Runtime.run`."""
        probabilities: NDArray[np.float32] = self._forward(tf.constant(batch)).numpy()
        return probabilities


def prepare_gpus() -> None:
    """Before the first computation: f32 is f32, the same input gives the same bits, and other processes have room.

    Untested on a GPU.

    Raises:
        RuntimeUnavailable: TensorFlow has computed already in this process.
    """
    # Convolutions would run in TF32 (10 bits of mantissa) under the name of f32.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    # cuDNN would choose among algorithms by their speed at that moment.
    tf.config.experimental.enable_op_determinism()
    try:
        for device in tf.config.list_physical_devices("GPU"):
            # Else the first process takes all of the GPU's memory, and a second worker beside it none.
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError as error:
        raise RuntimeUnavailable(
            f"TensorFlow has used the GPU already in this process, with all of its memory: {error}"
        ) from error


def gpu_count() -> int:
    """GPUs that this build of TensorFlow can use."""
    return len(tf.config.list_physical_devices("GPU"))


def limit_threads(threads: int) -> None:
    """Set the number of threads for everything that TensorFlow computes in this process.

    Raises:
        RuntimeUnavailable: it has computed already, with another number.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise RuntimeUnavailable(
            f"TensorFlow has run already in this process and cannot change to {threads} threads: {error}"
        ) from error
