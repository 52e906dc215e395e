"""What TensorFlow reads from the environment, once, when it loads: the same for training and for analysis."""

from __future__ import annotations

import os
from typing import Final

_TENSORFLOW: Final = {
    # oneDNN on every CPU; by itself TensorFlow takes it only on newer ones of Intel. Without it a training step takes
    # twice as long on an AMD EPYC (docs/maintainer/benchmarks.md), and without AVX-512 a slice's bits depend on its
    # place in the batch.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # Its notes on instruction sets help neither an operator nor a person who waits for epochs.
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def tensorflow_environment() -> dict[str, str]:
    """The variables to set before TensorFlow loads; those that are set already stay as they are."""
    return {name: os.environ.get(name, value) for name, value in _TENSORFLOW.items()}
