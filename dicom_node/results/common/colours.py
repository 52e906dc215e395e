"""The colours of what was found, the same in SEG, overlay and pictures: 8 bits each of red, green and blue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from segmentation.change import Kind

Colour = tuple[int, int, int]

# Orange and blue differ in lightness too, for eyes that cannot distinguish them; neither is a grey of the FLAIR.
WMH_RGB: Final[Colour] = (255, 145, 0)
PERIVENTRICULAR_RGB: Final[Colour] = WMH_RGB
DEEP_RGB: Final[Colour] = (70, 190, 255)
VENTRICLES_RGB: Final[Colour] = (150, 210, 150)

# More of it in warm colours, less of it in blues, light and dark each, so lightness alone separates new from grown.
KIND_RGB: Final[Mapping[Kind, Colour]] = MappingProxyType(
    {
        "new": (255, 60, 120),
        "grown": (255, 200, 0),
        "stable": (190, 190, 190),
        "shrunk": (120, 220, 255),
        "gone": (70, 110, 255),
    }
)
