"""A network applied twice: to each slice and to its left-right mirror image.

Heads are nearly symmetric and a network's faults are not: the mean of both predictions is a little better than either,
and a mirrored head gets exactly the mirrored prediction. It takes twice the time, so it is used for a small network
only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segmentation.runtimes.runtime import BATCH

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def mirrored_mean(predict: Predict, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the probabilities of slices and of their mirror images; batch by batch, so that only the mean is held.

    Args:
        predict: float32 (slice, row, column) images to probabilities of the same shape.
        images: normalised slices, columns to the left.
    """
    mean = np.empty(images.shape, np.float32)
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH]
        there = predict(some)
        back = predict(np.ascontiguousarray(some[:, :, ::-1]))[:, :, ::-1]
        mean[start : start + BATCH] = (there + back) / np.float32(2)
    return mean
