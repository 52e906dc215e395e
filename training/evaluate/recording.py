"""An ensemble that remembers what its members said, and can leave out those that saw the patient in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segmentation.ensemble import Ensemble, mean_probability


class RecordingEnsemble:
    """Stands in for an ensemble; everything but `predict` is the ensemble's own.

    `segment_volume` gives the members' mean only; the pairwise Dice needs each of them.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._chosen: Sequence[int] | None = None
        self.member_probabilities: NDArray[np.float32] | None = None

    def __getattr__(self, name: str) -> Any:
        """Whatever the ensemble has."""
        return getattr(self._ensemble, name)

    @property
    def chosen(self) -> Sequence[int] | None:
        """The members that are asked, counted from 0; None: all."""
        return self._chosen

    def choose(self, members: Sequence[int] | None) -> None:
        """Ask only these members (counted from 0) from now on; None: all."""
        self._chosen = members

    def predict(
        self, images: NDArray[np.float32], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """As `Ensemble.predict`: float32 (member, slice, size, size) of the chosen members."""
        members = self._ensemble.predict(images, progress)
        self.member_probabilities = members if self._chosen is None else members[list(self._chosen)]
        return self.member_probabilities

    def predict_mean(
        self, images: NDArray[np.float32], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """As `Ensemble.predict_mean`, of the chosen members."""
        return mean_probability(self.predict(images, progress))

    @property
    def as_ensemble(self) -> Ensemble:
        """Itself, for functions that ask for an ensemble."""
        return cast(Ensemble, self)
