"""Temperature scaling: logits divided by one number, so that on unseen patients 0.8 is right in eight of ten voxels.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). The threshold 0.5 is where it was: a mask of one
member does not change, and the uncertainty index means the same for a timid and for a bold training.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

_RANGE: Final = (0.25, 8.0)
_CERTAIN: Final = 1e-7  # float32 sigmoids end there


def fit_temperature(probabilities: NDArray[Any], labels: NDArray[np.bool_]) -> float:
    """The temperature with the smallest cross-entropy, between 0.25 and 8.

    Args:
        probabilities: any shape, of patients that the model never saw.
        labels: same shape.
    """
    if probabilities.shape != labels.shape or not probabilities.size:
        raise ValueError(f"expected labels of shape {probabilities.shape} and at least one, got {labels.shape}")
    logits = special.logit(np.clip(probabilities.astype(np.float64), _CERTAIN, 1 - _CERTAIN))
    signed = np.where(labels, -logits, logits)

    def cross_entropy(log_temperature: float) -> float:
        return float(np.mean(np.logaddexp(0, signed / np.exp(log_temperature))))

    found = optimize.minimize_scalar(cross_entropy, bounds=tuple(np.log(_RANGE)), method="bounded")
    return float(np.exp(found.x))


def fold_in(model: Any, temperature: float) -> None:
    """Divide the weights of a Keras model's last layer, a 1x1 convolution before the sigmoid, by the temperature.

    After it no runtime needs to know of the temperature.
    """
    last = model.layers[-1]
    last.set_weights([weight / np.float32(temperature) for weight in last.get_weights()])
