"""How a FLAIR case becomes the networks' input; part of a model bundle's input contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from segmentation.errors import BadBundle

PeakRule = Literal["nearest", "highest"]
ScaleRule = Literal["slice-maximum", "brain-level", "brain-alone"]


@dataclass(frozen=True)
class PreprocessingSettings:
    """The published preprocessing, its ambiguities as settings ("Data Preprocessing"; docs/researcher/paper.md).

    Attributes:
        size: rows and columns of the networks' input.
        bins: bins of the case histogram over non-zero voxels, 0 to 256.
        peak: which histogram peak is moved to `peak_target`: the nearest to it (published code) or the highest (text).
        peak_target: grey value of that peak afterwards; intensities are multiplied, so that zero stays zero.
        mask_threshold: grey value above which a pixel belongs to the brain mask.
        scale: what intensities are measured by. `slice-maximum`: each slice by its own maximum, then the histogram peak
            (paper). `brain-level`: the whole volume by the level of its brain (`segmentation.preprocessing.robust`),
            which becomes `peak_target`; a few extreme pixels change nothing. `bins` and `peak` then play no part.
            `brain-alone`: by median and spread of the brain, and nothing outside it is shown
            (`segmentation.preprocessing.masked`); the other fields but `size` then play no part, and what is marked at
            the brain's surface is left out (`segmentation.brain_surface`).
        clip: with `brain-level`, the multiple of that level at which intensities end.
    """

    size: int = 256
    bins: int = 32
    peak: PeakRule = "nearest"
    peak_target: float = 150.0
    mask_threshold: float = 30.0
    scale: ScaleRule = "slice-maximum"
    clip: float = 2.5

    def __post_init__(self) -> None:
        """Refuse settings that no network of ours accepts."""
        if self.size < 16 or self.size % 8:
            raise BadBundle(f"expected an input size that is a multiple of 8 and at least 16, got {self.size}")
        if self.peak not in ("nearest", "highest"):
            raise BadBundle(f"expected peak 'nearest' or 'highest', got {self.peak!r}")
        if self.scale not in get_args(ScaleRule):
            raise BadBundle(f"expected scale {' or '.join(get_args(ScaleRule))}, got {self.scale!r}")
        if not 1 < self.clip <= 100:
            raise BadBundle(f"expected a clip above 1 and up to 100 times the brain's level, got {self.clip}")
        if self.bins < 3 or self.peak_target <= 0 or self.mask_threshold < 0:
            raise BadBundle("expected at least 3 bins, a positive peak target and a mask threshold of 0 or more")
