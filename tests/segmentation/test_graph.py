from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph
from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variant", ["published", "text"])
@pytest.mark.parametrize("squeeze_excitation", [True, False])
def test_a_graph_survives_its_json(variant: Any, squeeze_excitation: bool) -> None:
    """Every network of the family is described without loss, and holds every weight but the dropout's seeds."""
    model = build_network(NetworkSpecification(squeeze_excitation, variant, 0.125))
    graph = NetworkGraph.from_keras(model)
    assert NetworkGraph.from_json(graph.to_json()) == graph
    sizes = [int(array.size) for array in graph.weights_of(model).values()]
    assert sum(sizes) == model.count_params()
    assert graph.weights_of(model).keys() == graph.weight_shapes().keys()
    assert not any(node.name.endswith("_drop") for node in graph.nodes)


def test_a_layer_without_an_operation_is_refused() -> None:
    """A network that the table does not cover is refused when the bundle is written, not when it is served."""
    from keras import Model, layers

    inputs = layers.Input((16, 16, 1))
    for layer, words in [
        (layers.UpSampling2D(2), "UpSampling2D"),
        (layers.Conv2D(2, 3, padding="valid"), "expected padding same, got 'valid'"),
        (layers.Conv2D(2, 3, padding="same", activation="tanh"), "expected activation"),
        (layers.ReLU(max_value=6.0), "max_value"),
        (layers.Conv2DTranspose(2, 1, strides=2, padding="same"), "no smaller than its strides"),
    ]:
        with pytest.raises(BadBundle, match=words):
            NetworkGraph.from_keras(Model(inputs, layer(inputs)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda nodes: nodes.clear(), "layers"),
        (lambda nodes: nodes.pop(0), "first layer"),
        (lambda nodes: nodes[1].update(operation="eval"), "operation"),
        (lambda nodes: nodes[1].update(code="x"), "code"),
        (lambda nodes: nodes[1].update(name=nodes[0]["name"]), "two layers"),
        (lambda nodes: nodes[1].update(inputs=["later"]), "not an earlier layer"),
        (lambda nodes: nodes[1].update(inputs=[]), "0 inputs"),
    ],
)
def test_a_graph_that_cannot_be_computed_is_refused(change: Callable[[list[dict[str, Any]]], None], words: str) -> None:
    """Unknown operations and layers out of order are refused with a clear error."""
    graph = NetworkGraph.from_keras(build_network(NetworkSpecification(width=0.125)))
    document = json.loads(graph.to_json())
    change(document["nodes"])
    with pytest.raises(BadBundle, match=words):
        NetworkGraph.from_json(json.dumps(document).encode())
