"""The seam: what every runtime does, and the one batch size that all of them run."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Always the same batch, padded with blank slices: kernels are chosen by shape, so that a shorter last batch would give
# other bits for the same slice. 4 is the best of the measured sizes in time and memory for both runtimes.
BATCH = 4


class Runtime(Protocol):
    """Networks of one architecture compiled as one graph: the members of an ensemble, the ventricle
    or the anatomy network."""

    @property
    def name(self) -> str:
        """`tensorflow` or `openvino`."""

    @property
    def precision(self) -> str:
        """`f32` or `bf16`: the arithmetic of the convolutions."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run exactly one batch.

        Args:
            batch: float32 (BATCH, size, size), normalised by `segmentation.preprocessing`.

        Returns:
            float32 (member, BATCH, size, size), probabilities in 0..1; of a network with several outputs one after the
            other, in place of members.
        """
