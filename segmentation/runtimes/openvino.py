"""OpenVINO on CPUs: the graph is built straight from the bundle, so that a worker never loads TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from segmentation.errors import BadBundle, RuntimeUnavailable
from segmentation.graph import NetworkGraph, Node, Weights
from segmentation.networks.network_set import NetworkSet
from segmentation.runtimes.precision import choose_precision, compile_settings
from segmentation.runtimes.runtime import BATCH

# OpenVINO works channels first: (batch, channel, row, column).
_CHANNELS: Final = 1


class OpenVinoRuntime:
    """All members compiled as one OpenVINO graph, with one input and one output per member."""

    name: Final = "openvino"

    def __init__(self, networks: NetworkSet, threads: int | None = None) -> None:
        """Build and compile; about half a second."""
        model = build_model(networks.graph, networks.weights)
        try:
            self.precision = choose_precision(threads)
            compiled = openvino.Core().compile_model(model, "CPU", compile_settings(self.precision, threads))
        except RuntimeError as error:
            raise RuntimeUnavailable(f"OpenVINO cannot compile the network for this CPU: {error}") from error
        self._members = networks.count
        self._request = compiled.create_infer_request()

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(BATCH, row, column) -> (member, BATCH, row, column); see `Runtime.run`."""
        self._request.infer({0: batch[:, np.newaxis]})
        outputs = [self._request.get_output_tensor(index).data.swapaxes(0, 1) for index in range(self._members)]
        return np.concatenate(outputs)  # a copy: the tensors are overwritten by the next batch


def build_model(graph: NetworkGraph, members: Sequence[Weights], batch: int = BATCH) -> Any:
    """An `openvino.Model`: (batch, 1, row, column) -> one (batch, output, row, column) per member.

    Raises:
        BadBundle: layers whose shapes do not fit together.
    """
    rows, columns, channels = graph.nodes[0].shape or (0, 0, 0)
    images = ops.parameter([batch, channels, rows, columns], np.float32, name=graph.nodes[0].name)
    try:
        outputs = [_build_member(graph, weights, images) for weights in members]
        return openvino.Model(outputs, [images], "ensemble")
    except RuntimeError as error:
        raise BadBundle(f"the bundle's layers do not fit together: {error}") from error


def _build_member(graph: NetworkGraph, weights: Weights, images: Any) -> Any:
    built = {graph.nodes[0].name: images}
    for node in graph.nodes[1:]:
        inputs = [built[name] for name in node.inputs]
        own = {name: weights[f"{node.name}/{name}"] for name in node.weights}
        built[node.name] = _ACTIVATIONS[node.activation](_BUILDERS[node.operation](node, inputs, own))
    return built[graph.nodes[-1].name]


def _convolution(node: Node, inputs: list[Any], own: Weights) -> Any:
    kernel = np.ascontiguousarray(own["kernel"].transpose(3, 2, 0, 1))  # (h, w, in, out) -> (out, in, h, w)
    strides = list(node.strides or (1, 1))
    return _with_bias(ops.convolution(inputs[0], kernel, strides, [0, 0], [0, 0], [1, 1], auto_pad="same_upper"), own)


def _transposed_convolution(node: Node, inputs: list[Any], own: Weights) -> Any:
    kernel = np.ascontiguousarray(own["kernel"].transpose(3, 2, 0, 1))  # (h, w, out, in) -> (in, out, h, w)
    strides = list(node.strides or (1, 1))
    # Keras "same": the output is strides times the input, and the odd pixel is cut off at the end. Written out, because
    # OpenVINO's own "same" cuts it off at the start.
    surplus = [max(0, k - s) for k, s in zip(kernel.shape[2:], strides, strict=True)]
    begin = [n // 2 for n in surplus]
    end = [n - n // 2 for n in surplus]
    return _with_bias(
        ops.convolution_backprop_data(inputs[0], kernel, strides, pads_begin=begin, pads_end=end, dilations=[1, 1]), own
    )


def _batch_normalisation(node: Node, inputs: list[Any], own: Weights) -> Any:
    return ops.batch_norm_inference(
        inputs[0], own["gamma"], own["beta"], own["moving_mean"], own["moving_variance"], node.epsilon
    )


def _max_pooling(node: Node, inputs: list[Any], own: Weights) -> Any:
    size = list(node.strides or (1, 1))
    return ops.max_pool(inputs[0], size, [1, 1], [0, 0], [0, 0], size).output(0)


def _global_average(node: Node, inputs: list[Any], own: Weights) -> Any:
    return ops.reduce_mean(inputs[0], np.asarray([2, 3], np.int64), keep_dims=True)


def _dense(node: Node, inputs: list[Any], own: Weights) -> Any:
    # On (batch, channel, 1, 1) a dense layer is a 1x1 convolution.
    kernel = np.ascontiguousarray(own["kernel"].T[:, :, np.newaxis, np.newaxis])
    return _with_bias(ops.convolution(inputs[0], kernel, [1, 1], [0, 0], [0, 0], [1, 1]), own)


def _with_bias(values: Any, own: Weights) -> Any:
    return ops.add(values, own["bias"].reshape(1, -1, 1, 1)) if "bias" in own else values


_BUILDERS: Final[Mapping[str, Callable[[Node, list[Any], Weights], Any]]] = {
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "batch_normalisation": _batch_normalisation,
    "relu": lambda node, inputs, own: ops.relu(inputs[0]),
    "max_pooling": _max_pooling,
    "global_average": _global_average,
    "dense": _dense,
    "multiply": lambda node, inputs, own: ops.multiply(inputs[0], inputs[1]),
    "concatenate": lambda node, inputs, own: ops.concat(inputs, _CHANNELS),
}
_ACTIVATIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "linear": lambda values: values,
    "relu": ops.relu,
    "sigmoid": ops.sigmoid,
}
