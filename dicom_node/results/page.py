"""The page around the slices: the numbers above, the small print below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dicom_node.results.display import head_mask
from dicom_node.results.montage import Montage, choose_slices, draw_montage
from dicom_node.results.outlines import DEEP_RGB, PERIVENTRICULAR_RGB, VENTRICLE_RGB, Outlined
from dicom_node.results.seg import DISPLAY_RGB
from dicom_node.results.words import flags_in_words
from dicom_node.version import SOFTWARE_NAME, SOFTWARE_VERSION
from segmentation.bundle import ModelIdentity
from segmentation.measures import REVIEW_ABOVE, Measures
from segmentation.regions import RegionVolumes
from segmentation.volume import FlairVolume

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_BACKGROUND: Final[Colour] = (14, 16, 20)
_TEXT: Final[Colour] = (236, 238, 242)
_QUIET: Final[Colour] = (150, 156, 166)
_LINE: Final[Colour] = (52, 57, 66)
_WMH: Final[Colour] = DISPLAY_RGB

_WIDTH: Final = 1600
_EDGE: Final = 28
_GAP: Final = 8
_HEADER: Final = 158
_LEGEND: Final = 46
_FEW_PANELS: Final = 12  # up to here four in a row, larger
_SCALE_BAR_MM: Final = 50
_DIGEST_CHARACTERS: Final = 12


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        volume: intensities.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        outlined: masks (slice, row, column).
        measures: of the WMH mask.
        regions: volumes of its parts and of the ventricles; None where it is not divided.
        model: that made it, when it shall be named.
        flags: slugs, told in words.
    """

    volume: FlairVolume
    affine_lps: NDArray[np.float64]
    outlined: Outlined
    measures: Measures
    regions: RegionVolumes | None
    model: ModelIdentity | None
    flags: tuple[str, ...]


def draw_page(page: Page) -> Image.Image:
    """Draw the page: RGB, 1600 pixels wide, as high as it needs."""
    chosen = choose_slices(page.outlined.wmh, head_mask(page.volume.voxels))
    columns = 4 if len(chosen) <= _FEW_PANELS else 5
    panel_width = (_WIDTH - 2 * _EDGE - (columns - 1) * _GAP) // columns
    montage = draw_montage(page.volume, page.affine_lps, page.outlined, chosen, panel_width)
    notes = _wrap(" ".join(flags_in_words(page.flags)), _font(19), _WIDTH - 2 * _EDGE)
    rows = math.ceil(len(montage.panels) / columns)
    panel_height = montage.panels[0].image.shape[0]
    header = _HEADER + (0 if page.regions is None else _LEGEND)
    below = header + rows * (panel_height + _GAP)
    height = below + 28 * len(notes) + 96
    image = Image.new("RGB", (_WIDTH, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    # Where orange is one of the parts, the whole has no colour.
    whole = _WMH if page.regions is None else _TEXT
    _draw_header(draw, page.measures, whole)
    if page.regions is not None:
        _draw_legend(draw, page.regions)
    for place, _ in enumerate(montage.panels):
        left = _EDGE + (place % columns) * (panel_width + _GAP)
        top = header + (place // columns) * (panel_height + _GAP)
        _draw_panel(image, draw, montage, place, (left, top), len(page.outlined.wmh), whole)
    _draw_footer(draw, page, montage, notes, below)
    return image


def _draw_header(draw: ImageDraw.ImageDraw, measures: Measures, whole: Colour) -> None:
    draw.text((_EDGE, 22), "White matter hyperintensities on FLAIR", _QUIET, _font(26))
    volume = _millilitres(measures.wmh_volume_ml)
    draw.text((_EDGE, 54), volume, whole, _font(76))
    after = _EDGE + draw.textlength(volume, _font(76)) + 34
    lesions = "1 lesion" if measures.lesion_count == 1 else f"{measures.lesion_count} lesions"
    draw.text((after, 89), lesions, _TEXT, _font(36))
    right = _WIDTH - _EDGE
    headline, colour, detail = _review(measures)
    draw.text((right, 60), headline, colour, _font(32), anchor="ra")
    draw.text((right, 106), detail, _QUIET, _font(24), anchor="ra")


def _draw_legend(draw: ImageDraw.ImageDraw, regions: RegionVolumes) -> None:
    """One line below the header: each outline's colour, what it surrounds, and its volume."""
    middle = _HEADER + 12
    plane = "" if regions.distance_rule == "2d" else " in 3D"
    entries = (
        (PERIVENTRICULAR_RGB, f"periventricular (within {regions.distance_mm:g} mm{plane})", 4),
        (DEEP_RGB, "deep", 4),
        (VENTRICLE_RGB, "ventricles", 2),
    )
    volumes = (regions.periventricular_volume_ml, regions.deep_volume_ml, regions.ventricle_volume_ml)
    left: float = _EDGE
    for (colour, words, width), volume in zip(entries, volumes, strict=True):
        draw.rounded_rectangle((left + 1, middle - 9, left + 19, middle + 9), 5, outline=colour, width=width)
        left += 30
        for text, tone in ((f"{words} ", _QUIET), (_millilitres(volume), _TEXT)):
            draw.text((left, middle), text, tone, _font(24), anchor="lm")
            left += draw.textlength(text, _font(24))
        left += 44


def _millilitres(volume: float) -> str:
    """One digit after the point, two below 1 mL; a trace is not shown as nothing."""
    if 0 < volume < 0.005:
        return "<0.01 mL"
    return f"{volume:.2f} mL" if 0 < volume < 1 else f"{volume:.1f} mL"


def _review(measures: Measures) -> tuple[str, Colour, str]:
    if measures.uncertainty_index is None:
        return "No WMH segmented", _TEXT, "uncertainty index undefined"
    detail = f"uncertainty index {measures.uncertainty_index:.2f} (review above {REVIEW_ABOVE:.2f})"
    if measures.review_recommended:
        return "Review recommended", _WMH, detail
    return "Review not flagged", _TEXT, detail


def _draw_panel(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    montage: Montage,
    place: int,
    corner: tuple[int, int],
    slices: int,
    whole: Colour,
) -> None:
    panel = montage.panels[place]
    left, top = corner
    height, width = panel.image.shape[:2]
    image.paste(Image.fromarray(panel.image), corner)
    _label(draw, (left + 8, top + 6), f"{panel.index + 1}/{slices}", _QUIET, "la")
    if panel.wmh_ml > 0:
        _label(draw, (left + width - 8, top + 6), _millilitres(panel.wmh_ml), whole, "ra")
    _label(draw, (left + 8, top + height // 2), montage.left, _QUIET, "lm")
    _label(draw, (left + width - 8, top + height // 2), montage.right, _QUIET, "rm")


def _label(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: Colour, anchor: str) -> None:
    """Text that stays readable over a bright image."""
    draw.text(at, text, colour, _font(19), anchor=anchor, stroke_width=2, stroke_fill=_BACKGROUND)


def _draw_footer(draw: ImageDraw.ImageDraw, page: Page, montage: Montage, notes: Sequence[str], top: int) -> None:
    right = _WIDTH - _EDGE
    top += 10
    for line in notes:
        draw.text((_EDGE, top), line, _TEXT, _font(19))
        top += 28
    draw.line((_EDGE, top + 6, right, top + 6), _LINE)
    top += 18
    draw.text((_EDGE, top), "RESEARCH USE ONLY - not a medical device", _WMH, _font(22))
    draw.text((_EDGE, top + 32), f"{_shown(page, montage)}. {_made_by(page)}", _QUIET, _font(19))
    bar = round(_SCALE_BAR_MM * montage.pixels_per_mm)
    draw.line((right - bar, top + 34, right, top + 34), _QUIET, 2)
    draw.text((right, top + 24), "5 cm", _QUIET, _font(19), anchor="rb")


def _shown(page: Page, montage: Montage) -> str:
    shown = {panel.index for panel in montage.panels}
    with_wmh = {int(index) for index in np.flatnonzero(page.outlined.wmh.any(axis=(1, 2)))}
    hidden = len(with_wmh - shown)
    missing = f", {hidden} with WMH not shown" if hidden else ""
    return f"{len(shown)} of {len(page.outlined.wmh)} slices, feet to head{missing}"


def _made_by(page: Page) -> str:
    software = f"{SOFTWARE_NAME} {SOFTWARE_VERSION}"
    if page.model is None:
        return software
    return f"Model {page.model.name} {page.model.version} ({page.model.digest[:_DIGEST_CHARACTERS]}), {software}"


def _wrap(text: str, font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@cache
def _font(size: int) -> Font:
    """Pillow's own font: the picture looks the same on every machine."""
    return ImageFont.load_default(size)
