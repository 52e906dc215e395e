"""Charts as SVG, drawn here: no script, and colours from the style sheet's classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from markupsafe import Markup, escape

from db.browse import ScanPoint
from dicom_node.results.common.volume_words import millilitres

_HOURS_SIZE: Final = (720, 150)
_COURSE_SIZE: Final = (720, 220)
_INSET: Final = 34  # room for the days below the first and the last point
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 10, 22


def hours_chart(by_hour: Sequence[tuple[datetime, int, int]]) -> Markup:
    """Bars of the last hours: analysed, and above them what was refused.

    Args:
        by_hour: (start of the hour, analysed, refused), the oldest first.
    """
    width, height = _HOURS_SIZE
    inner_width, inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    most = nice_above(max((analysed + others for _, analysed, others in by_hour), default=0))
    step = inner_width / max(len(by_hour), 1)
    parts = [_grid(width, height, most, "")]
    for place, (hour, analysed, others) in enumerate(by_hour):
        x = _LEFT + place * step + step * 0.12
        bottom = float(height - _BOTTOM)
        words = f"{hour:%H:%M} UTC: {analysed} analysed, {others} refused"
        parts.append(Markup("<g><title>{}</title>").format(words))
        for count, kind in ((analysed, "bar-good"), (others, "bar-other")):
            bar = inner_height * count / most
            bottom -= bar
            if count:
                parts.append(
                    Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"/>').format(
                        kind, x, bottom, step * 0.76, bar
                    )
                )
        parts.append(Markup("</g>"))
        if hour.hour % 3 == 0:
            parts.append(_label(x + step * 0.38, height - 6, f"{hour:%H}", "middle"))
    total = sum(analysed + others for _, analysed, others in by_hour)
    return _svg(_HOURS_SIZE, f"Series by hour in the last day, {total} in all", parts)


def course_chart(scans: Sequence[ScanPoint], this_job: int) -> Markup | None:
    """The volume of each scan of a patient over time, with its range; None where fewer than two have one.

    Args:
        scans: by day; those without a volume are left out.
        this_job: is marked.
    """
    points = [(point, point.volume_ml) for point in scans if point.volume_ml is not None]
    if len(points) < 2:
        return None
    width, height = _COURSE_SIZE
    inner_width, inner_height = width - _LEFT - _RIGHT - 2 * _INSET, height - _TOP - _BOTTOM
    highest = max(point.interval_ml[1] if point.interval_ml else volume for point, volume in points)
    most = nice_above(highest)
    days = [_day(point.acquired_on) for point, _ in points]
    first, span = min(days), max(max(days) - min(days), 1)

    def at(day: int, volume: float) -> tuple[float, float]:
        return _LEFT + _INSET + inner_width * (day - first) / span, height - _BOTTOM - inner_height * volume / most

    places = [at(day, volume) for day, (_, volume) in zip(days, points, strict=True)]
    parts = [_grid(width, height, most, " mL")]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(Markup('<polyline class="course" points="{}"/>').format(line))
    for (x, y), day, (point, volume) in zip(places, days, points, strict=True):
        words = f"{point.acquired_on}: {millilitres(volume)}, job {point.job_id}"
        parts.append(Markup('<a href="/jobs/{}"><title>{}</title>').format(point.job_id, words))
        if point.interval_ml is not None:
            (_, low), (_, high) = at(day, point.interval_ml[0]), at(day, point.interval_ml[1])
            parts.append(
                Markup('<line class="interval" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>').format(
                    x, low, high
                )
            )
        kind = "point here" if point.job_id == this_job else "point"
        parts.append(Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5"/></a>').format(kind, x, y))
        parts.append(_label(x, height - 6, str(point.acquired_on), "middle"))
    # A group, not an image: its points are links.
    return _svg(_COURSE_SIZE, f"WMH volume of {len(points)} scans over time, in mL", parts, "group")


def nice_above(value: float) -> float:
    """A round number not below the value: the upper end of an axis."""
    if value <= 4:
        return 4.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * factor for factor in (1, 2, 4, 6, 8, 10) if size * factor >= value)


def _day(at: date) -> int:
    return at.toordinal()


def _grid(width: int, height: int, most: float, unit: str) -> Markup:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = height - _BOTTOM - (height - _TOP - _BOTTOM) * share
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, width - _RIGHT, y, y)
        )
        parts.append(_label(_LEFT - 6, y + 4, f"{most * share:g}{unit}", "end"))
    return Markup("").join(parts)


def _label(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)


def _svg(size: tuple[int, int], title: str, parts: Sequence[Markup], role: str = "img") -> Markup:
    head = Markup('<svg class="chart" role="{}" viewBox="0 0 {} {}" aria-label="{}">').format(
        role, *size, escape(title)
    )
    return head + Markup("").join(parts) + Markup("</svg>")
