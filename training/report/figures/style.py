"""One look for every figure: sizes, fonts and a palette that colour-blind readers can distinguish.

The palette is that of Okabe and Ito ("Color Universal Design", 2008). Nothing here touches matplotlib's global state:
figures are made by `Figure`, drawn by the Agg canvas, and styled axis by axis: a caller's own plots keep theirs.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
INK: Final = "#222222"
GREY: Final = "#767676"
PALE: Final = "#D9D9D9"
SERIES: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
"""Colours of series, in order; their markers are `MARKERS`, so that no series depends on its colour alone."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P")

FONT: Final = 9.0
SMALL: Final = 8.0
SINGLE: Final = (5.1, 3.5)
"""Width and height in inches of a figure that takes half of the page."""
WIDE: Final = (10.4, 3.5)
"""The same of one that takes the whole width."""

_FAMILY: Final = "DejaVu Sans"  # comes with matplotlib: the same letters on every machine
_RASTER_ABOVE: Final = 800  # points: an SVG of thousands of dots is slow to open and to print
_DPI: Final = 200


@dataclass(frozen=True)
class Drawing:
    """A figure ready for a page.

    Attributes:
        uri: the picture as a `data:` URI (SVG or PNG).
        alt: what it shows, for who cannot see it.
        width_in: its width in inches, so that letters have one size on the page.
    """

    uri: str
    alt: str
    width_in: float


@dataclass(frozen=True)
class NotDrawn:
    """Why a figure is not there, in words for the reader."""

    reason: str


Picture = Drawing | NotDrawn


def new_figure(
    size: tuple[float, float] = SINGLE, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """An empty figure and its axes (one, or an array of them), laid out so that no label is cut."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **options)


def dress(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Labels with units, light grid, no box; called last, when everything is drawn."""
    axes.set_xlabel(x, fontsize=FONT, color=INK, family=_FAMILY)
    axes.set_ylabel(y, fontsize=FONT, color=INK, family=_FAMILY)
    if title:
        axes.set_title(title, fontsize=FONT, color=INK, family=_FAMILY, loc="left", fontweight="bold")
    axes.tick_params(labelsize=SMALL, colors=INK, length=3)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontfamily(_FAMILY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color="#EBEBEB", linewidth=0.7)


def legend(axes: Axes, **options: Any) -> None:
    """A frameless legend in the small size."""
    place = {"loc": "best", **options}
    axes.legend(frameon=False, prop={"family": _FAMILY, "size": SMALL}, handlelength=1.8, **place)


def note(axes: Axes, text: str, x: float = 0.98, y: float = 0.03, **options: Any) -> None:
    """A short remark inside the axes, in axes' own coordinates; by default at the lower right."""
    place = {"ha": "right", "va": "bottom", **options}
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}
    axes.text(x, y, text, transform=axes.transAxes, fontsize=SMALL, color=INK, family=_FAMILY, bbox=box, **place)


def label_point(
    axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float] = (5, 4), **options: Any
) -> None:
    """Name a point, `offset` in typographic points away from it. The name is text, never mathematics."""
    look = {"fontsize": SMALL - 1, "color": INK, "family": _FAMILY, "parse_math": False, **options}
    axes.annotate(text, at, xytext=offset, textcoords="offset points", **look)


def dots(axes: Axes, x: Any, y: Any, **options: Any) -> None:
    """Scatter that stays small in an SVG, however many points there are; more points are fainter."""
    count = len(x)
    look = {
        "s": 22 if count <= 60 else 14 if count <= 400 else 7,
        "alpha": 0.9 if count <= 60 else 0.55 if count <= 400 else 0.3,
        "linewidths": 0,
        "rasterized": count > _RASTER_ABOVE,
        **options,
    }
    axes.scatter(x, y, **look)


def unit_axis(set_limits: Any) -> None:
    """Limits of an axis from 0 to 1 with a little room, so that a dot at the end is whole."""
    set_limits(-0.03, 1.03)


def short(name: str, room: int) -> str:
    """A case's name cut to `room` letters."""
    return name if len(name) <= room else name[: room - 1] + "…"


def p_words(p: float | None) -> str:
    """`P < .001` or `P = .031`, as the paper writes it; `P undefined` without one."""
    if p is None:
        return "P undefined"
    return "P < .001" if p < 0.001 else "P = " + f"{p:.3f}".removeprefix("0")


def svg(figure: Figure, alt: str) -> Drawing:
    """The figure as SVG: sharp on paper. Letters are drawn as paths, so that no font is needed."""
    # No date and no creator: the same numbers give the same picture.
    return _drawing(figure, alt, "svg", "image/svg+xml", {"Date": None, "Creator": None})


def png(figure: Figure, alt: str) -> Drawing:
    """The figure as PNG: for pictures made of pixels."""
    return _drawing(figure, alt, "png", "image/png", {"Software": None})


def _drawing(figure: Figure, alt: str, form: str, media: str, metadata: dict[str, Any]) -> Drawing:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=_DPI, metadata=metadata, facecolor="white")
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Drawing(f"data:{media};base64,{content}", alt, float(figure.get_size_inches()[0]))
