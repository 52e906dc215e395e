"""The page about a series that was not analysed."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageDraw

from dicom_node.node.errors import NotAnalysable
from dicom_node.results.common.colours import Colour
from dicom_node.results.pages.layout import EDGE, FOOTER, SIDE, TITLE, draw_footer, new_page
from dicom_node.results.pages.lettering import BODY, LARGE, QUIET, SMALL, TEXT, wrap, write
from dicom_node.results.pages.refusal_words import NOTHING_MEASURED, advice_for

_HEADLINE: Final = 72
_REASON: Final = 36


def draw_refusal(reason: NotAnalysable, series_number: int | None) -> Image.Image:
    """Why the series was not analysed, what was expected, what to do: RGB, square.

    Args:
        reason: what the selection or the reader said.
        series_number: of the source; shown when given.
    """
    image, draw = new_page()
    advice = advice_for(reason.code)
    write(draw, (EDGE, 22), TITLE, BODY, QUIET)
    write(draw, (EDGE, 62), "Not analysed", _HEADLINE, bold=True)
    if series_number is not None:
        write(draw, (SIDE - EDGE, 84), f"series {series_number}", LARGE, QUIET, "ra")
    top = _paragraph(draw, reason.reason, _REASON, TEXT, 180)
    for heading, words in (("What is expected", advice.expected), ("What to do", advice.to_do)):
        write(draw, (EDGE, top + 28), heading, BODY, QUIET)
        top = _paragraph(draw, words, LARGE, TEXT, top + 64)
    _paragraph(draw, NOTHING_MEASURED, BODY, TEXT, max(top + 28, SIDE - FOOTER - 120))
    write(draw, (EDGE, SIDE - FOOTER - 8), f"code: {reason.code}", SMALL, QUIET, "ls")
    draw_footer(draw, None, 1, 1, None)
    return image


def _paragraph(draw: ImageDraw.ImageDraw, words: str, size: int, colour: Colour, top: int) -> int:
    """Wrapped text from `top`; returns where it ends (pixels from the top)."""
    step = round(size * 1.32)
    for line in wrap(words, size, SIDE - 2 * EDGE):
        write(draw, (EDGE, top), line, size, colour)
        top += step
    return top
