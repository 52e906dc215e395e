"""Type and colour of the pages for a person: sizes that stay legible when a PACS shows a page at half its size."""

from __future__ import annotations

from functools import cache
from typing import Final

from PIL import ImageDraw, ImageFont

from dicom_node.results.common.colours import WMH_RGB, Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BACKGROUND: Final[Colour] = (14, 16, 20)
TEXT: Final[Colour] = (240, 242, 245)
QUIET: Final[Colour] = (168, 174, 184)
LINE: Final[Colour] = (60, 66, 76)
ALERT: Final[Colour] = WMH_RGB

SMALL: Final = 20
BODY: Final = 24
LARGE: Final = 30
HEADLINE: Final = 36
FIGURE: Final = 96


@cache
def font(size: int) -> Font:
    """Pillow's own font: a page looks the same on every machine."""
    return ImageFont.load_default(size)


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: Colour = TEXT,
    anchor: str = "la",
    *,
    bold: bool = False,
) -> float:
    """Write one line and return its width in pixels; bold is a stroke, for the font has one weight."""
    draw.text(at, text, colour, font(size), anchor=anchor, stroke_width=0.6 if bold else 0, stroke_fill=colour)
    return float(draw.textlength(text, font(size)))


def write_over_image(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: Colour, anchor: str
) -> None:
    """Text that stays readable over a bright image."""
    draw.text(at, text, colour, font(size), anchor=anchor, stroke_width=3, stroke_fill=BACKGROUND)


def shortened(text: str, size: int, width: float) -> str:
    """The text, cut where it is wider; three dots say so."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def wrap(text: str, size: int, width: float) -> list[str]:
    """The text in lines that fit the width, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
