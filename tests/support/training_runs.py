"""The smallest training that is one: two epochs of an eighth-width network on 32 x 32 slices."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.presets import PAPER_2024, Recipe

# `paper-2024` cut down; one member, one thread.
TINY = (
    *("--set", "network.width=0.125", "--set", "network.size=32", "--set", "network.variant=text"),
    *("--set", "batch_size=2", "--set", "steps_per_epoch=2", "--epochs", "2", "--members", "1", "--threads", "1"),
)
_ROOT = Path(__file__).parents[2]


@contextmanager
def without_graphs() -> Iterator[None]:
    """TensorFlow runs step by step: to trace a graph costs more than the few steps of a tiny training."""
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(False)


def tiny_recipe(**changes: Any) -> Recipe:
    """The recipe that TINY makes."""
    tiny = replace(
        PAPER_2024,
        network=NetworkSpecification(variant="text", width=0.125, size=32),
        preprocessing=PreprocessingSettings(size=32),
        batch_size=2,
        steps_per_epoch=2,
        epochs=2,
    )
    return replace(tiny, **changes)


def tiny_network() -> Any:
    """The network of TINY, for whichever backend is loaded."""
    from segmentation.networks.unet import build_network

    return build_network(tiny_recipe().network)


def command(module: str, *arguments: str | Path) -> list[str]:
    """`python -m module ...` of this environment."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with the checkout's packages on the path, quiet, and without a chosen backend."""
    kept = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "XLA_FLAGS")}
    path = os.pathsep.join((str(_ROOT), str(_ROOT / "tests")))
    return kept | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"} | changes
