"""What every page for a person has in common: its size, the numbers above, the small print below.

A page is square and 1024 pixels wide, with type that can still be read when a PACS shows it at half of that.
"""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageDraw

from dicom_node.results.content import Content
from dicom_node.results.headlines import lesions_in_words, review_headline
from dicom_node.results.lettering import (
    ALERT,
    BACKGROUND,
    BODY,
    FIGURE,
    HEADLINE,
    LARGE,
    LINE,
    QUIET,
    SMALL,
    TEXT,
    Colour,
    font,
    millilitres,
    wrap,
    write,
)
from dicom_node.results.outlines import DEEP_RGB, PERIVENTRICULAR_RGB, UNSURE_RGB, VENTRICLE_RGB
from dicom_node.version import SOFTWARE_NAME, SOFTWARE_VERSION
from segmentation.bundle import ModelIdentity
from segmentation.measures import Measures

SIDE: Final = 1024
EDGE: Final = 28
GAP: Final = 8
FOOTER: Final = 92
TITLE: Final = "White matter hyperintensities (WMH) on FLAIR"
RESEARCH_ONLY: Final = "RESEARCH USE ONLY - not a medical device"
_DIGEST_CHARACTERS: Final = 12
_SWATCH: Final = 20
_LINE_HEIGHT: Final = 1.28


def colour_of_whole(content: Content) -> Colour:
    """Where orange is one of the parts, the whole has no colour."""
    return ALERT if content.regions is None else TEXT


def new_page() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty page and the pen for it."""
    image = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    return image, ImageDraw.Draw(image)


def draw_findings(draw: ImageDraw.ImageDraw, content: Content) -> int:
    """The first page's numbers; returns where they end (pixels from the top)."""
    measures = content.measures
    write(draw, (EDGE, 22), TITLE, BODY, QUIET)
    write(draw, (EDGE - 4, 52), millilitres(measures.wmh_volume_ml), FIGURE, colour_of_whole(content))
    _draw_review(draw, measures)
    lines: float = 176
    lines = _draw_legend(draw, content, lines)
    write(draw, (SIDE - EDGE, 172), lesions_in_words(measures.lesion_count), LARGE, anchor="ra")
    return round(lines)


def draw_notes(draw: ImageDraw.ImageDraw, notes: tuple[str, ...], bottom: int) -> int:
    """Notes that end at `bottom`; returns where they begin (pixels from the top)."""
    lines = [line for note in notes for line in wrap(note, SMALL, SIDE - 2 * EDGE)]
    top = bottom - round(SMALL * _LINE_HEIGHT) * len(lines)
    for number, line in enumerate(lines):
        write(draw, (EDGE, top + number * round(SMALL * _LINE_HEIGHT)), line, SMALL)
    return top


def draw_running_head(draw: ImageDraw.ImageDraw, content: Content, what: str) -> int:
    """The head of a page that only shows slices; returns where it ends (pixels from the top)."""
    measures = content.measures
    width = write(draw, (EDGE, 18), millilitres(measures.wmh_volume_ml), LARGE, colour_of_whole(content))
    write(draw, (EDGE + width + 24, 22), what, BODY, QUIET)
    return 64


def draw_footer(
    draw: ImageDraw.ImageDraw, model: ModelIdentity | None, number: int, pages: int, pixels_per_mm: float | None
) -> None:
    """Small print of every page: not for clinical use, who made it, which page, a scale bar of 5 cm."""
    top = SIDE - FOOTER + 14
    right = SIDE - EDGE
    draw.line((EDGE, top, right, top), LINE)
    write(draw, (EDGE, top + 12), RESEARCH_ONLY, BODY, ALERT, bold=True)
    write(draw, (EDGE, top + 46), made_by(model), SMALL, QUIET)
    if pages > 1:
        write(draw, (right, top + 46), f"page {number} of {pages}", SMALL, QUIET, "ra")
    if pixels_per_mm is not None:
        bar = round(50 * pixels_per_mm)
        draw.line((right - bar, top + 24, right, top + 24), TEXT, 3)
        write(draw, (right - bar - 12, top + 24), "5 cm", SMALL, QUIET, "rm")


def made_by(model: ModelIdentity | None) -> str:
    """The model and this software."""
    software = f"{SOFTWARE_NAME} {SOFTWARE_VERSION}"
    if model is None:
        return software
    return f"Model {model.name} {model.version} ({model.digest[:_DIGEST_CHARACTERS]}), {software}"


def _draw_review(draw: ImageDraw.ImageDraw, measures: Measures) -> None:
    """The recommendation, in a box that cannot be overlooked when there is one."""
    right = SIDE - EDGE
    headline, detail = review_headline(measures)
    width = draw.textlength(headline, font(HEADLINE))
    if measures.review_recommended:
        draw.rounded_rectangle((right - width - 36, 58, right, 116), 10, fill=ALERT)
        write(draw, (right - 18, 87), headline, HEADLINE, BACKGROUND, "rm", bold=True)
    else:
        write(draw, (right, 87), headline, HEADLINE, TEXT, "rm")
    write(draw, (right, 128), detail, BODY, QUIET, "ra")


def _draw_legend(draw: ImageDraw.ImageDraw, content: Content, top: float) -> float:
    """Each outline's colour, what it surrounds, and its volume; returns where it ends."""
    regions = content.regions
    entries: list[tuple[Colour, str, str, bool]] = []
    if regions is not None:
        entries = [
            (PERIVENTRICULAR_RGB, "periventricular", millilitres(regions.periventricular_volume_ml), False),
            (DEEP_RGB, "deep", millilitres(regions.deep_volume_ml), False),
            (VENTRICLE_RGB, "ventricles", millilitres(regions.ventricle_volume_ml), False),
        ]
    left: float = EDGE
    middle = top + 14
    for colour, words, volume, _ in entries:
        draw.rounded_rectangle(
            (left, middle - _SWATCH / 2, left + _SWATCH, middle + _SWATCH / 2), 5, outline=colour, width=4
        )
        left += _SWATCH + 10
        left += write(draw, (left, middle), f"{words} ", BODY, QUIET, "lm")
        left += write(draw, (left, middle), volume, BODY, TEXT, "lm") + 26
    if content.outlined.unsure is not None:
        below = middle + (36 if entries else 0)
        left = EDGE
        draw.rounded_rectangle((left, below - _SWATCH / 2, left + _SWATCH, below + _SWATCH / 2), 5, fill=_tint(190))
        write(draw, (left + _SWATCH + 10, below), "shaded: the model is unsure", BODY, QUIET, "lm")
        return below + 26
    return middle + 26


def _tint(grey: int) -> Colour:
    red, green, blue = (round(grey * part / 255) for part in UNSURE_RGB)
    return red, green, blue
