"""What tests of the worker share."""

from __future__ import annotations

import pytest
from support.models import tiny_bundle

from segmentation.bundle import load_bundle
from segmentation.ensemble import Ensemble, open_ensemble


@pytest.fixture(scope="session")
def tiny_ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """A tiny model, compiled once."""
    return open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("model"))), "openvino")


@pytest.fixture(scope="session")
def sure_ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """A tiny model whose results on a phantom without scalp count as reliable."""
    return open_ensemble(load_bundle(tiny_bundle(tmp_path_factory.mktemp("sure"), sure=True)), "openvino")
