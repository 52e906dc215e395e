"""Weights between start and end of a training."""

import numpy as np
import pytest

from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network
from training.fit.averaging import average_with_start


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_lie_between_start_and_end(share: float) -> None:
    """None of the start leaves the model, all of it undoes the training, a quarter is a quarter of the way back."""
    specification = NetworkSpecification(width=0.125, size=32)
    model, start = build_network(specification), build_network(specification)
    before = model.get_weights()
    average_with_start(model, start.get_weights(), share)
    for now, own, old in zip(model.get_weights(), before, start.get_weights(), strict=True):
        np.testing.assert_allclose(now, own + share * (old - own), atol=1e-6)


def test_a_share_beyond_one_is_refused() -> None:
    """There is nothing beyond the start."""
    model = build_network(NetworkSpecification(width=0.125, size=32))
    with pytest.raises(ValueError, match="from 0 to 1"):
        average_with_start(model, model.get_weights(), 1.5)
