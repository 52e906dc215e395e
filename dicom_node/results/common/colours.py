"""The colours of what was found, the same in SEG, overlay and pictures: 8 bits each of red, green and blue."""

from __future__ import annotations

from typing import Final

Colour = tuple[int, int, int]

# Orange and blue differ in lightness too, for eyes that cannot distinguish them; neither is a grey of the FLAIR.
WMH_RGB: Final[Colour] = (255, 145, 0)
PERIVENTRICULAR_RGB: Final[Colour] = WMH_RGB
DEEP_RGB: Final[Colour] = (70, 190, 255)
VENTRICLES_RGB: Final[Colour] = (150, 210, 150)
