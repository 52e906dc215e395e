"""Keras networks out of a graph and its weights, and the specification of a Keras network."""

from __future__ import annotations

from typing import Any

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph, Weights
from segmentation.networks.specification import BOTTLENECK_FILTERS, NetworkSpecification


def keras_network(specification: NetworkSpecification, graph: NetworkGraph, weights: Weights) -> Any:
    """A Keras model in float32 with these weights, whatever dtype policy a training has set.

    Raises:
        BadBundle: this version builds another network than the graph.
    """
    import keras

    from segmentation.networks.unet import build_network

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        model = build_network(specification)
    finally:
        keras.config.set_dtype_policy(policy)
    if NetworkGraph.from_keras(model) != graph:
        raise BadBundle(
            "this version of wmh-node builds another network under the bundle's architecture name: "
            "use runtime openvino, which follows the bundle's graph, or the version that wrote the bundle"
        )
    for node in graph.nodes:
        for variable in model.get_layer(node.name).weights:
            # Dropout's seed state is a variable too, and no weight of the graph.
            if variable.name in node.weights:
                variable.assign(weights[f"{node.name}/{variable.name}"])
    return model


def specification_of(model: Any) -> NetworkSpecification:
    """What `build_network` was given to build this model.

    Raises:
        BadBundle: the model is none of the two published networks.
    """
    names = {layer.name for layer in model.layers}
    try:
        size = int(model.inputs[0].shape[1])
        filters = int(model.get_layer("bottleneck_1_conv").filters)
        outputs = int(model.outputs[0].shape[-1])
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise BadBundle("expected a network made by segmentation.networks.unet.build_network") from error
    return NetworkSpecification(
        squeeze_excitation="down1_recalibrate" in names,
        variant="published" if "down1_pyramid" in names else "text",
        # The layer with the most filters gives the width best; any width that gives these filters is as good.
        width=filters / BOTTLENECK_FILTERS,
        size=size,
        outputs=outputs,
    )
