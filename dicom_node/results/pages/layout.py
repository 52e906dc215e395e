"""What every page for a person has in common: its size, the numbers above, the small print below.

A page is square and 1024 pixels wide, with type that can still be read when a PACS shows it at half of that.
"""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageDraw

from dicom_node.node.version import SOFTWARE_NAME, SOFTWARE_VERSION
from dicom_node.results.common.colours import DEEP_RGB, PERIVENTRICULAR_RGB, VENTRICLES_RGB, Colour
from dicom_node.results.common.comparison import FollowUpComparison, FollowUpFinding, change_in_words
from dicom_node.results.common.volume_words import interval_millilitres, millilitres
from dicom_node.results.pages.content import (
    NO_WARNING,
    NOT_RELIABLE,
    UNSURE_WORDS,
    Content,
    earlier_in_words,
    lesions_in_words,
    review_headline,
)
from dicom_node.results.pages.lettering import (
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
    font,
    shortened,
    wrap,
    write,
)
from dicom_node.results.pages.outlines import UNSURE_RGB
from segmentation.bundle import ModelIdentity

SIDE: Final = 1024
EDGE: Final = 28
GAP: Final = 8
FOOTER: Final = 118
TITLE: Final = "White matter hyperintensities (WMH) on FLAIR"
_NAME: Final = ("White matter", "hyperintensities", "(WMH) on FLAIR")
_BESIDE_NAME: Final = 194
_HEAD: Final = 182
RESEARCH_ONLY: Final = "RESEARCH USE ONLY - not a medical device"
_DIGEST_CHARACTERS: Final = 12
_SWATCH: Final = 20
_LONGEST_BAR: Final = 360
_OWN_LINES: Final = 5  # so many notes have a line each; more are one paragraph, which is shorter
NOTE_LINES: Final = 6  # on the first page, so that its slices stay large
_STEP: Final = round(SMALL * 1.28)
_INDENT: Final = 16
_RUNNING_HEAD: Final = 64
_PAGE_LINES: Final = (SIDE - FOOTER - _RUNNING_HEAD - GAP) // _STEP


def colour_of_whole(content: Content) -> Colour:
    """Where orange is one of the parts, the whole has no colour."""
    return ALERT if content.regions is None else TEXT


def new_page() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty page and the pen for it."""
    image = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    return image, ImageDraw.Draw(image)


def draw_findings(draw: ImageDraw.ImageDraw, content: Content) -> int:
    """The first page's numbers; returns where they end (pixels from the top)."""
    # Viewers write the series' date and description over the upper left corner: the number stands clear of it.
    for line, words in enumerate(_NAME):
        write(draw, (EDGE, 42 + 26 * line), words, SMALL, QUIET)
    if content.is_reliable:
        _draw_numbers(draw, content)
        top = draw_follow_up(draw, content.follow_up, _HEAD)
    else:
        _draw_not_reliable(draw, content)
        top = _HEAD
    return draw_legend(draw, content, top)


def draw_follow_up(draw: ImageDraw.ImageDraw, finding: FollowUpFinding | None, top: int) -> int:
    """The change since an earlier scan, where there is one; returns where it ends."""
    if not isinstance(finding, FollowUpComparison):
        return top
    draw.line((EDGE, top + 2, SIDE - EDGE, top + 2), LINE)
    width = write(draw, (EDGE, top + 10), change_in_words(finding), LARGE)
    width += write(draw, (EDGE + width + 12, top + 15), f"since {finding.earlier.acquired_on.isoformat()}", BODY, QUIET)
    earlier = earlier_in_words(finding)
    if width + 40 + draw.textlength(earlier, font(BODY)) <= SIDE - 2 * EDGE:
        write(draw, (SIDE - EDGE, top + 15), earlier, BODY, QUIET, "ra")
        return top + 52
    write(draw, (EDGE, top + 49), earlier, BODY, QUIET)
    return top + 86


def draw_legend(draw: ImageDraw.ImageDraw, content: Content, top: int) -> int:
    """What is outlined in which colour, with its volume, and what is shaded; returns where it ends."""
    middle = top + 14
    regions = content.regions
    if regions is not None:
        left: float = EDGE
        for colour, words, volume in (
            (PERIVENTRICULAR_RGB, "periventricular", regions.periventricular_volume_ml),
            (DEEP_RGB, "deep", regions.deep_volume_ml),
            (VENTRICLES_RGB, "ventricles", regions.ventricle_volume_ml),
        ):
            draw_swatch(draw, (left, middle), outline=colour)
            left += _SWATCH + 10
            left += write(draw, (left, middle), f"{words} ", BODY, QUIET, "lm")
            if content.is_reliable:
                left += write(draw, (left, middle), millilitres(volume), BODY, TEXT, "lm")
            left += 26
        middle += 34
    if content.outlined.unsure is not None:
        draw_swatch(draw, (EDGE, middle), fill=_tint(220))
        write(draw, (EDGE + _SWATCH + 10, middle), UNSURE_WORDS, BODY, QUIET, "lm")
        middle += 34
    return middle - 8


def first_notes(notes: tuple[str, ...], elsewhere: int) -> tuple[str, ...]:
    """The lines that the first page has room for: all notes, or those that fit whole and where all of them are.

    Args:
        notes: sentences.
        elsewhere: number of the page that all notes are on where they do not fit.
    """
    paragraphs = notes if len(notes) <= _OWN_LINES else (" ".join(notes),)
    for tried in (paragraphs, (" ".join(notes),)):
        lines = _lines(tried, SIDE - 2 * EDGE)
        if len(lines) <= NOTE_LINES:
            return lines
    return (*_fitting(notes, NOTE_LINES - 1), f"All {len(notes)} notes: page {elsewhere}.")


def _fitting(notes: tuple[str, ...], most: int) -> tuple[str, ...]:
    """As many whole notes as so many lines hold, in one paragraph; of a first one that is longer, its beginning."""
    width = SIDE - 2 * EDGE
    lines = _lines(notes[:1], width)
    for count in range(2, len(notes)):
        longer = _lines((" ".join(notes[:count]),), width)
        if len(longer) > most:
            break
        lines = longer
    return lines if len(lines) <= most else (*lines[: most - 1], shortened(f"{lines[most - 1]} ...", SMALL, width))


def notes_do_not_fit(notes: tuple[str, ...]) -> bool:
    """Whether they need separate pages."""
    return len(_lines((" ".join(notes),), SIDE - 2 * EDGE)) > NOTE_LINES


def draw_notes(draw: ImageDraw.ImageDraw, lines: tuple[str, ...], bottom: int) -> int:
    """Lines that end at `bottom`; returns where they begin (pixels from the top)."""
    top = bottom - _STEP * len(lines)
    for number, line in enumerate(lines):
        write(draw, (EDGE, top + number * _STEP), line, SMALL)
    return top


def note_pages(notes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The lines of all notes, a page each, with a dash before each note."""
    lines = [
        ("- " if number == 0 else "  ") + line
        for note in notes
        for number, line in enumerate(_lines((note,), SIDE - 2 * EDGE - _INDENT))
    ]
    return [tuple(lines[first : first + _PAGE_LINES]) for first in range(0, len(lines), _PAGE_LINES)]


def draw_note_page(draw: ImageDraw.ImageDraw, lines: tuple[str, ...]) -> None:
    """A page load of `note_pages`."""
    write(draw, (EDGE, 36), "Notes on the series, its analysis and its comparison", LARGE, anchor="lm")
    for number, line in enumerate(lines):
        top = _RUNNING_HEAD + GAP + number * _STEP
        write(draw, (EDGE, top), line[:2].strip(), SMALL)
        write(draw, (EDGE + _INDENT, top), line[2:], SMALL)


def _lines(paragraphs: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Wrapped; a word that no line holds is cut."""
    return tuple(shortened(line, SMALL, width) for paragraph in paragraphs for line in wrap(paragraph, SMALL, width))


def draw_running_head(draw: ImageDraw.ImageDraw, content: Content, what: str) -> int:
    """The head of a page that only shows slices; returns where it ends (pixels from the top)."""
    middle = 36
    volume = millilitres(content.measures.wmh_volume_ml) if content.is_reliable else NOT_RELIABLE
    width = write(draw, (EDGE, middle), volume, LARGE, colour_of_whole(content), "lm")
    write(draw, (EDGE + width + 20, middle), what, SMALL, QUIET, "lm")
    right: float = SIDE - EDGE
    if content.outlined.unsure is not None:
        right = _right_key(draw, (right, middle), "unsure", fill=_tint(220))
    if content.regions is not None:
        for words, colour in (
            ("ventricles", VENTRICLES_RGB),
            ("deep", DEEP_RGB),
            ("periventricular", PERIVENTRICULAR_RGB),
        ):
            right = _right_key(draw, (right, middle), words, outline=colour)
    return _RUNNING_HEAD


def _right_key(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    outline: Colour | None = None,
    fill: Colour | None = None,
) -> float:
    """A swatch and its words that end at a place; returns where the next may end."""
    right, middle = at
    left = right - write(draw, at, words, SMALL, QUIET, "rm") - 8 - _SWATCH
    draw_swatch(draw, (left, middle), outline, fill)
    return left - 18


def draw_footer(
    draw: ImageDraw.ImageDraw,
    model: ModelIdentity | None,
    number: int,
    pages: int,
    pixels_per_mm: float | None,
    examination: str | None = None,
) -> None:
    """Small print of every page: not for clinical use, which scan, who made it, which page, a scale bar."""
    top = SIDE - FOOTER + 14
    right = SIDE - EDGE
    draw.line((EDGE, top, right, top), LINE)
    write(draw, (EDGE, top + 12), RESEARCH_ONLY, BODY, ALERT, bold=True)
    page = f"page {number} of {pages}" if pages > 1 else ""
    room = right - EDGE - write(draw, (right, top + 72), page, SMALL, QUIET, "ra") - 20
    write(draw, (EDGE, top + 72), shortened(made_by(model), SMALL, room), SMALL, QUIET)
    if examination is not None:
        write(draw, (EDGE, top + 46), shortened(examination, SMALL, right - EDGE), SMALL)
    if pixels_per_mm is not None:
        length_cm = 5 if 50 * pixels_per_mm <= _LONGEST_BAR else 1  # a few slices fill a page
        bar = round(10 * length_cm * pixels_per_mm)
        draw.line((right - bar, top + 24, right, top + 24), TEXT, 3)
        write(draw, (right - bar - 12, top + 24), f"{length_cm} cm", SMALL, QUIET, "rm")


def made_by(model: ModelIdentity | None) -> str:
    """The model and this software."""
    software = f"{SOFTWARE_NAME} {SOFTWARE_VERSION}"
    if model is None:
        return software
    return f"Model {model.name} {model.version} ({model.digest[:_DIGEST_CHARACTERS]}), {software}"


def _draw_numbers(draw: ImageDraw.ImageDraw, content: Content) -> None:
    """The volume in the largest type, where a reader's may lie, the lesions, and whether a person must look first."""
    measures = content.measures
    volume = millilitres(measures.wmh_volume_ml)
    end = _BESIDE_NAME + write(draw, (_BESIDE_NAME, 22), volume, FIGURE, colour_of_whole(content))
    _draw_review(draw, content, end + 24)
    left: float = EDGE
    if (predictive := measures.predictive) is not None:
        left += write(draw, (left, 141), f"{100 * predictive.nominal:.0f} % interval ", BODY, QUIET)
        left += 24 + write(draw, (left, 136), interval_millilitres(*predictive.interval), LARGE)
    lesions, (_, detail) = lesions_in_words(measures.lesion_count), review_headline(measures, content.plausibility)
    room = SIDE - EDGE - left
    for size, beside in ((BODY, detail), (SMALL, detail), (SMALL, "")):
        if font(size).getlength(lesions) + 24 + font(SMALL).getlength(beside) <= room:
            break
    write(draw, (left, 141), lesions, size)
    if beside:
        write(draw, (SIDE - EDGE, 146), beside, SMALL, QUIET, "ra")


def _draw_not_reliable(draw: ImageDraw.ImageDraw, content: Content) -> None:
    """In place of the number; what the model marked is in small type, so that it is not taken for the result."""
    write(draw, (_BESIDE_NAME, 22), NOT_RELIABLE, FIGURE, ALERT)
    marked = f"{content.plausibility.headline}; the model marked {millilitres(content.measures.wmh_volume_ml)}"
    write(draw, (EDGE, 141), shortened(f"Do not use the volume: {marked}.", BODY, SIDE - 2 * EDGE), BODY)


def _draw_review(draw: ImageDraw.ImageDraw, content: Content, left: float) -> None:
    """The recommendation, in a box that cannot be overlooked when there is one.

    Args:
        draw: the pen.
        content: what to say.
        left: where the box may begin at the leftmost (pixels).
    """
    right = SIDE - EDGE
    headline, _ = review_headline(content.measures, content.plausibility)
    if headline is None:
        for line, words in enumerate(NO_WARNING):
            write(draw, (right, 54 + 34 * line), words, BODY, TEXT, "rm")
        return
    room = right - left - 28
    size = next((size_ for size_ in (HEADLINE, LARGE, BODY) if font(size_).getlength(headline) <= room), SMALL)
    headline = shortened(headline, size, room)
    draw.rounded_rectangle((right - font(size).getlength(headline) - 28, 40, right, 98), 10, fill=ALERT)
    write(draw, (right - 14, 69), headline, size, BACKGROUND, "rm", bold=True)


def draw_swatch(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], outline: Colour | None = None, fill: Colour | None = None
) -> None:
    """A square whose left side's middle is at a place, in an outline's or a shade's colour."""
    left, middle = at
    box = (left, middle - _SWATCH / 2, left + _SWATCH, middle + _SWATCH / 2)
    draw.rounded_rectangle(box, 5, fill=fill, outline=outline, width=4)


def _tint(grey: int) -> Colour:
    red, green, blue = (round(grey * part / 255) for part in UNSURE_RGB)
    return red, green, blue
