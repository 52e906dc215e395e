"""The page about the change since the earlier scan: which lesions are new, grown, stable, shrunk or gone, and where;
every visit in one plot."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicom_node.results.common.colours import KIND_RGB
from dicom_node.results.common.comparison import (
    FollowUpComparison,
    agreement_in_words,
    change_in_words,
    rate_in_words,
    worth_in_words,
)
from dicom_node.results.common.lesion_changes import LesionChanges, kind_in_words
from dicom_node.results.pages.content import Content
from dicom_node.results.pages.display import head_mask
from dicom_node.results.pages.layout import EDGE, FOOTER, GAP, SIDE, draw_footer, draw_swatch, new_page
from dicom_node.results.pages.lettering import (
    HEADLINE,
    QUIET,
    SMALL,
    TEXT,
    shortened,
    wrap,
    write,
    write_over_image,
)
from dicom_node.results.pages.montage import OVERSAMPLING, Montage, lay_montage
from dicom_node.results.pages.outlines import Outlined, draw_masks
from dicom_node.results.pages.visits_plot import draw_visits
from segmentation.change import KINDS, Kind

MOST_PANELS: Final = 4
_PLOT: Final = 230
_STEP: Final = round(SMALL * 1.28)
_MOST_NAMED: Final = 3
_MOST_LINES: Final = 4  # of warnings
_INSET: Final = 8


def draw_change_page(content: Content, finding: FollowUpComparison, number: int, pages: int) -> Image.Image:
    """Draw the page: RGB, square.

    Args:
        content: the present scan.
        finding: the change.
        number, pages: of this page, and how many there are.
    """
    image, draw = new_page()
    top = _draw_words(draw, finding)
    changes = finding.lesion_changes
    scale = None
    if changes is not None and (shown := changed_slices(changes)):
        scale = _draw_panels(image, draw, content, changes, shown, (top, SIDE - FOOTER - _PLOT - GAP))
        top = SIDE - FOOTER - _PLOT
    draw_visits(draw, finding.visits, (EDGE, top, SIDE - EDGE, min(SIDE - FOOTER, top + 2 * _PLOT)))
    draw_footer(draw, content.model, number, pages, scale, content.examination)
    return image


def changed_slices(changes: LesionChanges) -> list[int]:
    """The slices with most changed voxels, ascending, at most `MOST_PANELS`; without a change those of most lesions."""
    changed = np.isin(changes.labels, [lesion.label for lesion in changes.changed])
    per_slice = (changed if changed.any() else changes.labels > 0).sum(axis=(1, 2))
    order = sorted(np.flatnonzero(per_slice), key=lambda index: (-per_slice[index], index))
    return sorted(int(index) for index in order[:MOST_PANELS])


def _draw_words(draw: ImageDraw.ImageDraw, finding: FollowUpComparison) -> int:
    """What has changed, in numbers; returns where it ends."""
    since = f"since {finding.earlier.acquired_on.isoformat()} ({finding.days} days)"
    left = EDGE + write(draw, (EDGE, 24), f"Change {change_in_words(finding)}", HEADLINE) + 14
    write(draw, (left, 36), since, SMALL, QUIET)
    top = 76
    for words in (agreement_in_words(finding), f"{rate_in_words(finding)} By the ranges: {worth_in_words(finding)}"):
        top = _paragraph(draw, words, top)
    for line in _most_of(finding.warnings):
        top = _paragraph(draw, line, top)
    changes = finding.lesion_changes
    if changes is None:
        for words in () if finding.lesions is None else finding.lesions.in_words:
            top = _paragraph(draw, words, top)
        return top + GAP
    if changes.unseen_in_words:
        top = _paragraph(draw, changes.unseen_in_words, top)
    x: float = EDGE
    for kind in KINDS:
        draw_swatch(draw, (x, top + 22), outline=KIND_RGB[kind])
        x += 30 + write(draw, (x + 28, top + 22), kind_in_words(changes, kind), SMALL, TEXT, "lm") + 18
    top += 44
    if largest := "; ".join(lesion.in_words for lesion in changes.changed[:_MOST_NAMED]):
        write(draw, (EDGE, top), shortened(f"Largest: {largest}", SMALL, SIDE - 2 * EDGE), SMALL, QUIET)
        top += _STEP
    return top + GAP


def _most_of(warnings: tuple[str, ...]) -> list[str]:
    """As many lines as leave room for the pictures; every warning is whole among the notes."""
    lines = [line for words in warnings for line in wrap(words, SMALL, SIDE - 2 * EDGE)]
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1]} ..."]


def _paragraph(draw: ImageDraw.ImageDraw, words: str, top: int) -> int:
    for line in wrap(words, SMALL, SIDE - 2 * EDGE):
        write(draw, (EDGE, top), shortened(line, SMALL, SIDE - 2 * EDGE), SMALL)
        top += _STEP
    return top


def _draw_panels(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    content: Content,
    changes: LesionChanges,
    shown: list[int],
    room: tuple[int, int],
) -> float:
    """The slices side by side; returns pixels per mm."""
    nothing = Outlined(np.zeros(content.volume.shape, bool))
    montage = lay_montage(content.volume, content.affine_lps, nothing, shown, head_mask(content.volume.stored))
    box = ((SIDE - 2 * EDGE - (len(shown) - 1) * GAP) // len(shown), room[1] - room[0])
    masks = {kind: montage.turn.apply(changes.mask(kind)[shown]) for kind in KINDS}
    for place, index in enumerate(shown):
        left, top = EDGE + place * (box[0] + GAP), room[0]
        panel = _panel(montage, place, {kind: mask[place] for kind, mask in masks.items()}, box)
        height, width = panel.shape[:2]
        draw.rectangle((left, top, left + box[0] - 1, top + box[1] - 1), fill=(0, 0, 0))
        image.paste(Image.fromarray(panel), (left + (box[0] - width) // 2, top + (box[1] - height) // 2))
        write_over_image(draw, (left + _INSET, top + _INSET), content.slice_names[index], SMALL, TEXT, "la")
        middle = top + box[1] // 2
        write_over_image(draw, (left + _INSET, middle), montage.turn.left, SMALL, TEXT, "lm")
        write_over_image(draw, (left + box[0] - _INSET, middle), montage.turn.right, SMALL, TEXT, "rm")
    return montage.scale(box)


def _panel(
    montage: Montage, place: int, masks: dict[Kind, NDArray[np.bool_]], box: tuple[int, int]
) -> NDArray[np.uint8]:
    scale = montage.scale(box)
    width, height = (max(round(size * scale), 1) for size in montage.size_mm)
    large = (width * OVERSAMPLING, height * OVERSAMPLING)
    grey = np.ascontiguousarray(montage.grey[place][montage.crop])
    canvas = cv2.cvtColor(cv2.resize(grey, large, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    # The stable ones first, so that a change is drawn over them.
    order: tuple[Kind, ...] = ("stable", "shrunk", "gone", "grown", "new")
    draw_masks(canvas, [(masks[kind][montage.crop], KIND_RGB[kind]) for kind in order])
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
