"""Networks of one architecture with their weights: what a runtime compiles."""

from __future__ import annotations

from dataclasses import dataclass

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph, Weights
from segmentation.networks.specification import NetworkSpecification


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class NetworkSet:
    """One or more networks that share an architecture.

    Attributes:
        specification: what Keras builds them from.
        graph: the same layer by layer, for runtimes without Keras.
        weights: per network, `layer/variable` -> float32 array.

    Raises:
        BadBundle: no network, or specification and graph have different image sizes.
    """

    specification: NetworkSpecification
    graph: NetworkGraph
    weights: tuple[Weights, ...]

    def __post_init__(self) -> None:
        """Check once, so that a runtime need not."""
        size = self.specification.size
        if not self.weights:
            raise BadBundle("expected at least one network, got none")
        if self.graph.nodes[0].shape != (size, size, 1):
            raise BadBundle(f"expected a network for images of ({size}, {size}, 1), got {self.graph.nodes[0].shape}")

    @property
    def count(self) -> int:
        """Number of networks."""
        return len(self.weights)
