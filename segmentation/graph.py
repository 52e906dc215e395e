"""A network layer by layer, without Keras: the content of a bundle's graph.json.

Each operation does what the Keras 3 layer in its row does at inference, channels last:

| operation              | Keras layer            | settings                              | weights             |
|------------------------|------------------------|---------------------------------------|---------------------|
| input                  | InputLayer             | shape (row, column, channel)          |                     |
| convolution            | Conv2D                 | strides, activation; padding "same"   | kernel (h,w,in,out) |
| transposed_convolution | Conv2DTranspose        | strides, activation; padding "same"   | kernel (h,w,out,in) |
| batch_normalisation    | BatchNormalization     | epsilon                               | four vectors        |
| relu                   | ReLU                   |                                       |                     |
| max_pooling            | MaxPooling2D           | strides = pool size; padding "valid"  |                     |
| global_average         | GlobalAveragePooling2D | axes kept                             |                     |
| dense                  | Dense                  | activation                            | kernel (in,out)     |
| multiply, concatenate  | Multiply, Concatenate  | along channels                        |                     |

Convolutions and dense layers may have a bias. The four vectors are gamma, beta, moving_mean and moving_variance.
Dropout does nothing at inference and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from segmentation.errors import BadBundle

Weights = Mapping[str, NDArray[np.float32]]
"""`layer/variable` -> array, in Keras's axis order."""

Operation = Literal[
    "input",
    "convolution",
    "transposed_convolution",
    "batch_normalisation",
    "relu",
    "max_pooling",
    "global_average",
    "dense",
    "multiply",
    "concatenate",
]
Activation = Literal["linear", "relu", "sigmoid"]

_MAX_NODES: Final = 1000


class Node(BaseModel):
    """One layer.

    Attributes:
        name: the layer's name, unique in the graph.
        operation: what it does (table above).
        inputs: names of the layers that it reads, each earlier in the list.
        shape: of `input` only: (row, column, channel).
        strides: (row, column) of convolutions and pooling.
        activation: applied to the result.
        epsilon: of batch normalisation.
        weights: variable -> shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    operation: Operation
    inputs: tuple[str, ...] = ()
    shape: tuple[int, int, int] | None = None
    strides: tuple[int, int] | None = None
    activation: Activation = "linear"
    epsilon: float | None = None
    weights: dict[str, tuple[int, ...]] = {}


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class NetworkGraph:
    """A network with one input and one output, the last node; nodes in an order that can be computed.

    Raises:
        BadBundle: no input, a doubled name, or a node that reads a later one.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Check the order once, so that a runtime can build node after node."""
        if not 1 < len(self.nodes) <= _MAX_NODES:
            raise BadBundle(f"graph: expected 2 to {_MAX_NODES} layers, got {len(self.nodes)}")
        if self.nodes[0].operation != "input" or self.nodes[0].shape is None:
            raise BadBundle("graph: expected the first layer to be an input with a shape")
        known: set[str] = set()
        for node in self.nodes:
            if node.name in known:
                raise BadBundle(f"graph: two layers are named {node.name}")
            if unknown := set(node.inputs) - known:
                raise BadBundle(f"graph: {node.name} reads {min(unknown)}, which is not an earlier layer")
            if (node.operation == "input") != (not node.inputs) or (node.operation == "input" and known):
                raise BadBundle(f"graph: {node.name} ({node.operation}) has {len(node.inputs)} inputs")
            known.add(node.name)

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """`layer/variable` -> shape, in graph order."""
        return {f"{node.name}/{name}": shape for node in self.nodes for name, shape in node.weights.items()}

    def weights_of(self, model: Any) -> Weights:
        """This graph's weights out of the Keras model that it was read from."""
        return {
            f"{node.name}/{variable.name}": np.asarray(variable.numpy(), dtype=np.float32)
            for node in self.nodes
            for variable in model.get_layer(node.name).weights
            if variable.name in node.weights
        }

    def to_json(self) -> bytes:
        """One line per layer would be lost in most tools; indented JSON, defaults left out."""
        return (_Document(nodes=self.nodes).model_dump_json(indent=1, exclude_defaults=True) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> NetworkGraph:
        """Parse graph.json.

        Raises:
            BadBundle: unknown operations or fields, or layers out of order.
        """
        try:
            document = _Document.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadBundle(f"network graph, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return cls(document.nodes)

    @classmethod
    def from_keras(cls, model: Any) -> NetworkGraph:
        """Read a functional Keras model, through its public configuration.

        Raises:
            BadBundle: a layer or setting that has no operation in the table.
        """
        renamed: dict[str, str] = {}
        nodes = []
        for entry in model.get_config()["layers"]:
            config, kind, name = entry["config"], entry["class_name"], entry["config"]["name"]
            inputs = tuple(renamed[source] for source in _sources(entry["inbound_nodes"]))
            if kind == "Dropout":
                renamed[name] = inputs[0]
                continue
            renamed[name] = name
            reader = _READERS.get(kind)
            if reader is None:
                raise BadBundle(f"layer {name}: no operation for a Keras layer of type {kind}")
            weights = {v.name: tuple(int(n) for n in v.shape) for v in model.get_layer(name).weights}
            nodes.append(Node(name=name, inputs=inputs, weights=weights, **reader(config)))
        return cls(tuple(nodes))


def _sources(inbound: Any) -> Iterator[str]:
    """Names of the layers whose tensors a layer reads, in order, out of its serialised call arguments."""
    if isinstance(inbound, Mapping):
        if inbound.get("class_name") == "__keras_tensor__":
            yield inbound["config"]["keras_history"][0]
        else:
            for value in inbound.values():
                yield from _sources(value)
    elif isinstance(inbound, list | tuple):
        for value in inbound:
            yield from _sources(value)


def _expect(config: Mapping[str, Any], setting: str, *allowed: Any) -> None:
    found = config.get(setting)
    comparable = tuple(found) if isinstance(found, list) else found
    if comparable not in allowed:
        raise BadBundle(f"layer {config['name']}: expected {setting} {' or '.join(map(str, allowed))}, got {found!r}")


def _activation(config: Mapping[str, Any]) -> str:
    _expect(config, "activation", "linear", "relu", "sigmoid", None)
    return config["activation"] or "linear"


def _read_input(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"operation": "input", "shape": tuple(config["batch_shape"][1:])}


def _read_convolution(config: Mapping[str, Any]) -> dict[str, Any]:
    if tuple(config["kernel_size"]) != (1, 1):  # one pixel needs no padding, whatever the setting says
        _expect(config, "padding", "same")
    _expect(config, "dilation_rate", 1, (1, 1))
    _expect(config, "groups", 1, None)
    return {"operation": "convolution", "strides": tuple(config["strides"]), "activation": _activation(config)}


def _read_transposed(config: Mapping[str, Any]) -> dict[str, Any]:
    if any(size < stride for size, stride in zip(config["kernel_size"], config["strides"], strict=True)):
        raise BadBundle(f"layer {config['name']}: expected a kernel no smaller than its strides, or pixels stay empty")
    return _read_convolution(config) | {"operation": "transposed_convolution"}


def _read_normalisation(config: Mapping[str, Any]) -> dict[str, Any]:
    _expect(config, "axis", -1, (-1,), 3, (3,))
    return {"operation": "batch_normalisation", "epsilon": float(config["epsilon"])}


def _read_relu(config: Mapping[str, Any]) -> dict[str, Any]:
    _expect(config, "max_value", None)
    _expect(config, "negative_slope", 0.0, None)
    _expect(config, "threshold", 0.0, None)
    return {"operation": "relu"}


def _read_max_pooling(config: Mapping[str, Any]) -> dict[str, Any]:
    _expect(config, "padding", "valid")
    _expect(config, "strides", tuple(config["pool_size"]))
    return {"operation": "max_pooling", "strides": tuple(config["strides"])}


def _read_global_average(config: Mapping[str, Any]) -> dict[str, Any]:
    _expect(config, "keepdims", True)
    return {"operation": "global_average"}


def _read_dense(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"operation": "dense", "activation": _activation(config)}


def _read_multiply(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"operation": "multiply"}


def _read_concatenate(config: Mapping[str, Any]) -> dict[str, Any]:
    _expect(config, "axis", -1, 3)
    return {"operation": "concatenate"}


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "InputLayer": _read_input,
    "Conv2D": _read_convolution,
    "Conv2DTranspose": _read_transposed,
    "BatchNormalization": _read_normalisation,
    "ReLU": _read_relu,
    "MaxPooling2D": _read_max_pooling,
    "GlobalAveragePooling2D": _read_global_average,
    "Dense": _read_dense,
    "Multiply": _read_multiply,
    "Concatenate": _read_concatenate,
}
