"""Several accelerators, one copy of the network on each, every batch divided among them (Keras data parallelism).

| backend    | how                                | batch normalisation           | which devices                      |
|------------|------------------------------------|-------------------------------|------------------------------------|
| JAX        | `keras.distribution.DataParallel`  | over the whole batch          | all that JAX lists                 |
| TensorFlow | `tf.distribute.MirroredStrategy`   | over each device's own part   | GPUs, else logical CPUs (in tests) |
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

Batch = tuple[np.ndarray, np.ndarray]


@contextmanager
def data_parallel() -> Iterator[int]:
    """Build and fit models inside: gives the number of devices that share each batch; one device changes nothing."""
    scope, count = _jax() if keras.backend.backend() == "jax" else _tensorflow()
    if scope is None:
        yield 1
        return
    with scope:
        yield count


def _jax() -> tuple[Any, int]:
    devices = keras.distribution.list_devices()
    if len(devices) < 2:
        return None, 1
    return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False).scope(), len(devices)


def _tensorflow() -> tuple[Any, int]:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        return None, 1
    return tf.distribute.MirroredStrategy([device.name for device in devices]).scope(), len(devices)


def input_workers() -> int:
    """Threads that prepare batches ahead, in their order: beside a GPU all cores but one, beside a training on the
    processor one, since that uses every core itself.
    """
    if keras.backend.backend() == "jax":
        has_gpu = any(not str(device).startswith("cpu") for device in keras.distribution.list_devices())
    else:
        import tensorflow as tf

        has_gpu = bool(tf.config.list_logical_devices("GPU"))
    return max(1, (os.cpu_count() or 2) - 1) if has_gpu else 1


class EvenBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches whose sizes the devices divide: an epoch's last one is filled up with its own first slices."""

    def __init__(self, batches: Any, devices: int) -> None:
        super().__init__(workers=input_workers())
        self._batches, self._devices = batches, devices

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> Batch:
        images, labels = self._batches[step]
        return fill_up(images, self._devices), fill_up(labels, self._devices)


def fill_up(array: np.ndarray, multiple: int) -> np.ndarray:
    """The array, its first entries repeated at the end until `multiple` divides its length."""
    return np.resize(array, (-(-len(array) // multiple) * multiple, *array.shape[1:]))
