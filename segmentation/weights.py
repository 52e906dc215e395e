"""One network's weights as bytes (`segmentation.npz`).

Kernels are float16, which halves the file; vectors (biases, batch normalisation) are float32, because a running
variance may lie outside what float16 can hold.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph, Weights
from segmentation.npz import pack_arrays, parse_arrays

_FLOAT16_MAX: Final = float(np.finfo(np.float16).max)


def pack_weights(graph: NetworkGraph, weights: Weights) -> bytes:
    """Weights of one network as bytes; the same weights give the same bytes.

    Raises:
        BadBundle: a weight of another shape, not finite, or too large for float16.
    """
    packed: dict[str, NDArray[Any]] = {}
    for key, shape in graph.weight_shapes().items():
        values = weights[key]
        if values.shape != shape:
            raise BadBundle(f"{key}: expected shape {shape}, got {values.shape}")
        if not np.isfinite(values).all():
            raise BadBundle(f"{key}: expected finite weights, got NaN or infinity: the training diverged")
        if values.ndim > 1 and np.abs(values).max(initial=0.0) > _FLOAT16_MAX:
            raise BadBundle(f"{key}: expected weights within ±{_FLOAT16_MAX:.0f} (float16), got {np.abs(values).max()}")
        packed[key] = values.astype(np.float16 if values.ndim > 1 else np.float32)
    return pack_arrays(packed)


def parse_weights(name: str, content: bytes, graph: NetworkGraph) -> Weights:
    """Weights of one network as float32, checked against its graph.

    Args:
        name: file name, for the error.
        content: what `pack_weights` gave.
        graph: the network that they belong to.

    Raises:
        BadBundle: not such an archive, or not the weights of this network.
    """
    return parse_arrays(name, content, graph.weight_shapes(), "the weights are not those of the network")
