"""Is a series complete, as far as its headers tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Completeness:
    """Evidence on completeness, for the choice of the quiet time.

    Attributes:
        has_gap: an interior slice is missing (positions are not regular).
        has_duplicate: two frames lie at one position.
        expected: number of frames that a header announces (ImagesInAcquisition, NumberOfFrames), or None.
        found: number of frames that are there.
    """

    has_gap: bool
    has_duplicate: bool
    expected: int | None
    found: int

    @property
    def looks_complete(self) -> bool:
        """No gap, no duplicate, and no fewer frames than announced."""
        return not self.has_gap and not self.has_duplicate and (self.expected is None or self.found >= self.expected)


def slice_completeness(headers: Sequence[Dataset]) -> Completeness:
    """Look at slice positions and announced counts; never raises on missing or hostile values."""
    raise NotImplementedError
