"""The pages about one analysis: first what matters most, then the change since an earlier scan, the other slices with
WMH, and notes without room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from dicom_node.results.common.comparison import FollowUpComparison
from dicom_node.results.common.volume_words import millilitres
from dicom_node.results.pages.change_page import draw_change_page
from dicom_node.results.pages.content import Content
from dicom_node.results.pages.display import head_mask
from dicom_node.results.pages.layout import (
    EDGE,
    FOOTER,
    GAP,
    SIDE,
    colour_of_whole,
    draw_findings,
    draw_footer,
    draw_note_page,
    draw_notes,
    draw_running_head,
    first_notes,
    new_page,
    note_pages,
    notes_do_not_fit,
)
from dicom_node.results.pages.lettering import SMALL, TEXT, font, shortened, write_over_image
from dicom_node.results.pages.montage import Montage, Panel, choose_slices, key_slices, lay_montage

PANELS_A_PAGE: Final = 12
NARROWEST_PANEL: Final = 200
_LABEL_INSET: Final = 8
_AS_LARGE: Final = 0.95


@dataclass(frozen=True)
class Grid:
    """Where panels lie on a page, in pixels: `columns` of `box` (width, height) from `top`."""

    columns: int
    rows: int
    box: tuple[int, int]
    top: int


def draw_pages(content: Content) -> tuple[Image.Image, ...]:
    """Draw the pages: RGB, square; one to three of them, one more about a change, and one or two where there is much to
    note."""
    head = head_mask(content.volume.stored)
    chosen = choose_slices(content.outlined.wmh, head)
    keys = key_slices(content.outlined.wmh, chosen)
    others = [index for index in chosen if index not in keys]
    parts = _share(others) if others else []
    notes = note_pages(content.notes) if notes_do_not_fit(content.notes) else []
    change = content.follow_up if content.is_reliable and isinstance(content.follow_up, FollowUpComparison) else None
    first_of_slices = 2 if change is None else 3
    first_of_notes = first_of_slices + len(parts)
    pages = first_of_notes - 1 + len(notes)
    montage = lay_montage(content.volume, content.affine_lps, content.outlined, chosen, head)
    largest = max(map(len, parts), default=0)  # so that all pages have one scale
    return (
        # Key slices lie near each other, so that their own crop shows them larger.
        _first_page(content, montage.only(keys), first_notes(content.notes, first_of_notes), pages),
        *(() if change is None else (draw_change_page(content, change, 2, pages),)),
        *(
            _slices_page(content, montage, part, largest, number, pages)
            for number, part in enumerate(parts, start=first_of_slices)
        ),
        *(_notes_page(content, lines, number, pages) for number, lines in enumerate(notes, start=first_of_notes)),
    )


def _first_page(content: Content, montage: Montage, notes: tuple[str, ...], pages: int) -> Image.Image:
    image, draw = new_page()
    top = draw_findings(draw, content) + GAP
    bottom = draw_notes(draw, notes, SIDE - FOOTER) - GAP
    grid = _grid(montage, len(montage.chosen), top, bottom)
    _draw_panels(image, draw, content, montage, montage.chosen, grid)
    draw_footer(draw, content.model, 1, pages, montage.scale(grid.box), content.examination)
    return image


def _slices_page(
    content: Content, montage: Montage, part: Sequence[int], largest: int, number: int, pages: int
) -> Image.Image:
    image, draw = new_page()
    top = draw_running_head(draw, content, _what(content, montage))
    grid = _grid(montage, largest, top, SIDE - FOOTER)
    _draw_panels(image, draw, content, montage, part, grid)
    draw_footer(draw, content.model, number, pages, montage.scale(grid.box), content.examination)
    return image


def _notes_page(content: Content, lines: tuple[str, ...], number: int, pages: int) -> Image.Image:
    image, draw = new_page()
    draw_note_page(draw, lines)
    draw_footer(draw, content.model, number, pages, None, content.examination)
    return image


def _what(content: Content, montage: Montage) -> str:
    """What the pages of slices show; the number of slices with WMH that no page shows is given."""
    wmh = content.outlined.wmh
    with_wmh = sum(bool(wmh[index].any()) for index in range(len(wmh)))
    if not with_wmh:
        return "other slices, feet to head"
    if len(montage.chosen) < with_wmh:
        return f"page 1 and these: {len(montage.chosen)} of {with_wmh} slices with WMH"
    return "the other slices with WMH, feet to head"


def _share(chosen: Sequence[int]) -> list[list[int]]:
    """The slices in page loads of much the same size."""
    pages = math.ceil(len(chosen) / PANELS_A_PAGE)
    return [[int(index) for index in part] for part in np.array_split(np.array(chosen), pages)]


def _grid(montage: Montage, panels: int, top: int, bottom: int) -> Grid:
    """The grid that shows so many slices largest, in panels that are wide enough for their letters."""
    width, height = SIDE - 2 * EDGE, bottom - top

    def grid(columns: int) -> Grid:
        rows = math.ceil(panels / columns)
        box = ((width - (columns - 1) * GAP) // columns, (height - (rows - 1) * GAP) // rows)
        return Grid(columns, rows, (box[0], max(box[1], 1)), top)

    most = (width + GAP) // (NARROWEST_PANEL + GAP)
    grids = [grid(columns) for columns in range(1, min(panels, most) + 1)]
    largest = max(montage.scale(grid.box) for grid in grids)
    # Of those that show them about as large, the one with the fewest columns fills the page best.
    best = next(grid for grid in grids if montage.scale(grid.box) >= _AS_LARGE * largest)
    # What a slice leaves free above and below is better free under all of them; beside it the letters stand.
    tall = min(best.box[1], math.ceil(montage.size_mm[1] * montage.scale(best.box)))
    return replace(best, box=(best.box[0], tall))


def _draw_panels(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    content: Content,
    montage: Montage,
    indices: Sequence[int],
    grid: Grid,
) -> None:
    for place, index in enumerate(indices):
        left = EDGE + (place % grid.columns) * (grid.box[0] + GAP)
        top = grid.top + (place // grid.columns) * (grid.box[1] + GAP)
        _draw_panel(image, draw, content, montage, index, (left, top), grid.box)


def _draw_panel(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    content: Content,
    montage: Montage,
    index: int,
    corner: tuple[int, int],
    box: tuple[int, int],
) -> None:
    panel = montage.panel(index, box)
    left, top = corner
    right, bottom = left + box[0], top + box[1]
    draw.rectangle((left, top, right - 1, bottom - 1), fill=(0, 0, 0))
    height, width = panel.image.shape[:2]
    image.paste(Image.fromarray(panel.image), (left + (box[0] - width) // 2, top + (box[1] - height) // 2))
    _label_panel(draw, content, panel, (left, top, right, bottom))
    middle = (top + bottom) // 2
    write_over_image(draw, (left + _LABEL_INSET, middle), montage.turn.left, SMALL, TEXT, "lm")
    write_over_image(draw, (right - _LABEL_INSET, middle), montage.turn.right, SMALL, TEXT, "rm")


def _label_panel(draw: ImageDraw.ImageDraw, content: Content, panel: Panel, edges: tuple[int, int, int, int]) -> None:
    """The slice's name above, and its volume beside it; where the two have no room side by side, below."""
    left, top, right, bottom = (
        edge + by for edge, by in zip(edges, (_LABEL_INSET, _LABEL_INSET, -_LABEL_INSET, -_LABEL_INSET), strict=True)
    )
    name = shortened(content.slice_names[panel.index], SMALL, right - left)
    write_over_image(draw, (left, top), name, SMALL, TEXT, "la")
    if panel.wmh_ml > 0 and content.is_reliable:
        volume = millilitres(panel.wmh_ml)
        beside = draw.textlength(f"{name}  {volume}", font(SMALL)) <= right - left
        at, anchor = ((right, top), "ra") if beside else ((right, bottom), "rd")
        write_over_image(draw, at, volume, SMALL, colour_of_whole(content), anchor)
