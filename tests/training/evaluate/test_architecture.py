"""The network in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.models import tiny_model

from training.evaluate.architecture import describe, network_of


@pytest.mark.parametrize(("squeeze_excitation", "network"), [(True, "se-unet"), (False, "unet")])
def test_words_name_the_network(tmp_path: Path, squeeze_excitation: bool, network: str) -> None:
    """What is written of a bundle states its network again; a method without one is none of the two."""
    words = describe(tiny_model(tmp_path, squeeze_excitation=squeeze_excitation))
    assert words.startswith(f"2 x {network}, published")
    assert network_of(words) == network
    assert network_of("3.5 robust SD above the slice's mode") is network_of("") is None
