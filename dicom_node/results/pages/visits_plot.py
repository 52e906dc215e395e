"""The WMH volume of every visit, drawn against time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from PIL import ImageDraw

from dicom_node.results.common.comparison import Visit
from dicom_node.results.common.volume_words import millilitres
from dicom_node.results.pages.lettering import ALERT, BODY, LINE, QUIET, SMALL, TEXT, font, write

_DOT: Final = 6
_CAP: Final = 7
_AXIS: Final = 30  # below, for dates
_VALUES: Final = 78  # left, for volumes
_HEADROOM: Final = 1.15
_STEPS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_MOST_STEPS: Final = 5


def draw_visits(draw: ImageDraw.ImageDraw, visits: Sequence[Visit], box: tuple[int, int, int, int]) -> None:
    """Volumes with their intervals, the present one marked; at least two visits.

    Args:
        draw: the pen.
        visits: oldest first.
        box: left, top, right, bottom in pixels.
    """
    left, top, right, bottom = box
    write(draw, (left, top), "WMH volume at each visit, with its range", SMALL, QUIET)
    frame = (left + _VALUES, top + 34, right - 20, bottom - _AXIS)
    highest = _HEADROOM * max(max(visit.interval_ml.upper_ml, visit.volume_ml) for visit in visits) or 1.0
    _draw_scale(draw, frame, highest)
    places = [(_across(visit.acquired_on, visits, frame), visit) for visit in visits]
    points = [(x, _up(visit.volume_ml, highest, frame)) for x, visit in places]
    draw.line(points, QUIET, 2)
    for (x, visit), (_, y) in zip(places, points, strict=True):
        _draw_interval(draw, x, visit, highest, frame)
        colour = ALERT if visit is visits[-1] else TEXT
        draw.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=colour)
    _draw_days(draw, places, frame[3] + 6)
    x, y = points[-1]
    write(draw, (x - 14, y - 8), millilitres(visits[-1].volume_ml), BODY, ALERT, "rd")


def _draw_interval(
    draw: ImageDraw.ImageDraw, x: float, visit: Visit, highest: float, frame: tuple[int, int, int, int]
) -> None:
    ends = [_up(volume, highest, frame) for volume in visit.interval_ml]
    draw.line((x, ends[0], x, ends[1]), QUIET, 2)
    for end in ends:
        draw.line((x - _CAP, end, x + _CAP, end), QUIET, 2)


def _draw_scale(draw: ImageDraw.ImageDraw, frame: tuple[int, int, int, int], highest: float) -> None:
    left, _, right, _ = frame
    step = next((step for step in _STEPS if highest / step <= _MOST_STEPS), _STEPS[-1])
    for number in range(int(highest / step) + 1):
        y = _up(number * step, highest, frame)
        draw.line((left - 6, y, right, y), LINE)
        write(draw, (left - 12, y), f"{number * step:g} mL", SMALL, QUIET, "rm")


def _draw_days(draw: ImageDraw.ImageDraw, places: Sequence[tuple[float, Visit]], top: int) -> None:
    """The first and the last day, and those between that have room."""
    width = font(SMALL).getlength("2000-00-00")
    shown = [places[-1]]
    for x, visit in places[:-1]:
        if shown[0][0] - x > width + 10 and all(abs(x - other) > width + 10 for other, _ in shown):
            shown.append((x, visit))
    for x, visit in shown:
        write(draw, (x, top), visit.acquired_on.isoformat(), SMALL, QUIET, "ma")


def _across(day: date, visits: Sequence[Visit], frame: tuple[int, int, int, int]) -> float:
    """Half a date's width inside of the frame at both ends."""
    first, last = visits[0].acquired_on, visits[-1].acquired_on
    inset = font(SMALL).getlength("2000-00-00") / 2
    left, right = frame[0] + inset, frame[2] - inset
    return left + (right - left) * ((day - first).days / max((last - first).days, 1))


def _up(volume_ml: float, highest: float, frame: tuple[int, int, int, int]) -> float:
    _, top, _, bottom = frame
    return bottom - (bottom - top) * volume_ml / highest
