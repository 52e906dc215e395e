"""The networks are the paper's."""

import numpy as np
import pytest

from segmentation.errors import BadBundle
from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network


@pytest.mark.parametrize(("squeeze_excitation", "expected"), [(False, 3_306_273), (True, 3_308_961)])
def test_published_parameter_counts(squeeze_excitation: bool, expected: int) -> None:
    """The published networks have exactly the parameters counted by hand from the paper's code."""
    model = build_network(NetworkSpecification(squeeze_excitation=squeeze_excitation))
    assert model.count_params() == expected


def test_input_pyramid_widths() -> None:
    """Each level below the first sees the pooled features beside the pooled input: 33, 97 and 225 channels."""
    model = build_network(NetworkSpecification())
    assert [model.get_layer(f"down{level}_concat").output.shape[-1] for level in (1, 2, 3)] == [33, 97, 225]


def test_text_variant_has_neither_pyramid_nor_dropout() -> None:
    """The text variant is the paper's text: max pooling, 2x2 deconvolution, no pyramid, no dropout."""
    names = [layer.name for layer in build_network(NetworkSpecification(variant="text")).layers]
    assert not any("pyramid" in name or "drop" in name for name in names)
    assert "down1_pool" in names


@pytest.mark.parametrize("variant", ["published", "text"])
def test_output_is_a_probability_per_pixel(variant: str) -> None:
    """A network answers a probability for each input pixel."""
    model = build_network(NetworkSpecification(variant=variant, width=0.125, size=32))  # type: ignore[arg-type]
    out = np.asarray(model(np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)))
    assert out.shape == (2, 32, 32, 1)
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("bad", [{"variant": "other"}, {"width": 0}, {"size": 100}])
def test_impossible_networks_are_refused(bad: dict[str, object]) -> None:
    """A specification that cannot be built is refused with what was expected."""
    with pytest.raises(BadBundle, match="expected"):
        NetworkSpecification(**bad)  # type: ignore[arg-type]
