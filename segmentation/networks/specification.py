"""Which network: everything that decides the shapes of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segmentation.errors import BadBundle

Variant = Literal["published", "text"]

# Filters of the three resolution steps and of the bottleneck at full width (counted by hand: 3,306,273 parameters).
ENCODER_FILTERS = (32, 64, 128)
BOTTLENECK_FILTERS = 256
UPSAMPLING_FILTERS = (64, 32, 32)
CONVOLUTIONS_PER_BLOCK = 3
SE_RATIO = 16


@dataclass(frozen=True)
class NetworkSpecification:
    """One network of the family.

    Attributes:
        squeeze_excitation: SE-UNet (True) or UNet (False).
        variant: `published` follows the published code (strided convolution for pooling, input pyramid, dropout),
            `text` follows the paper's text (2x2 max pooling, 2x2 deconvolution, neither pyramid nor dropout).
        width: factor on every filter count; 1.0 is the paper's.
        size: rows and columns of the input.
        outputs: probabilities of each pixel.
    """

    squeeze_excitation: bool = True
    variant: Variant = "published"
    width: float = 1.0
    size: int = 256
    outputs: int = 1

    def __post_init__(self) -> None:
        """Refuse a network that cannot be built."""
        if self.variant not in ("published", "text"):
            raise BadBundle(f"expected variant 'published' or 'text', got {self.variant!r}")
        if not 0 < self.width <= 4:
            raise BadBundle(f"expected a width above 0 and up to 4, got {self.width}")
        if not 1 <= self.outputs <= 16:
            raise BadBundle(f"expected 1 to 16 outputs, got {self.outputs}")
        if self.size < 16 or self.size % 8:
            raise BadBundle(f"expected an input size that is a multiple of 8 and at least 16, got {self.size}")

    def filters(self, full_width: int) -> int:
        """Filter count of a layer at this width."""
        return max(1, round(full_width * self.width))

    @property
    def name(self) -> str:
        """Name for people: `SE-UNet` or `UNet`."""
        return "SE-UNet" if self.squeeze_excitation else "UNet"
