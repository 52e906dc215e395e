"""Which slices a picture shows, and each of them drawn with what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.results.pages.display import DisplayTurn, display_turn, to_grey
from dicom_node.results.pages.outlines import Outlined, Planes, draw_outlines
from segmentation.volume import FlairVolume

MOST_PANELS: Final = 24
KEY_PANELS: Final = 6
_MARGIN_MM: Final = 6.0
OVERSAMPLING: Final = 2  # drawn twice as large and averaged, so that outlines are smooth

# A slice is blank to the eye when less than this part of it is head.
_HEAD_FRACTION: Final = 0.01


@dataclass(frozen=True)
class Panel:
    """One slice, ready to show.

    Attributes:
        index: slice, from 0.
        image: uint8 (row, column, 3), RGB.
        wmh_ml: WMH in this slice.
    """

    index: int
    image: NDArray[np.uint8]
    wmh_ml: float


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Montage:
    """The slices that the pictures show, in one grey scale, ready to be drawn at any size.

    All arrays are (place in `chosen`, row, column), turned for display.

    Attributes:
        chosen: indices, ascending, at least one.
        grey: uint8.
        head: bool: not air; pictures are cropped to it.
        shown: masks.
        wmh_ml: WMH in each of them.
        pixel_mm: (row, column) spacing.
        turn: how they were turned; names the patient's sides at the panels' edges.
    """

    chosen: tuple[int, ...]
    grey: NDArray[np.uint8]
    head: NDArray[np.bool_]
    shown: Outlined
    wmh_ml: tuple[float, ...]
    pixel_mm: tuple[float, float]
    turn: DisplayTurn

    @cached_property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns that hold the head in all slices, with a margin; everything where there is none."""
        seen = self.head.any(axis=0)
        row_mm, column_mm = self.pixel_mm
        # A row counts when two per cent of it is head: noise in air must not widen the crop.
        return (
            _run(seen.mean(axis=1) > 0.02, round(_MARGIN_MM / row_mm)),
            _run(seen.mean(axis=0) > 0.02, round(_MARGIN_MM / column_mm)),
        )

    @property
    def size_mm(self) -> tuple[float, float]:
        """(width, height) of a cropped slice."""
        rows, columns = self.crop
        row_mm, column_mm = self.pixel_mm
        return (columns.stop - columns.start) * column_mm, (rows.stop - rows.start) * row_mm

    def scale(self, box: tuple[int, int]) -> float:
        """Pixels per mm at which a slice fits a box (width, height) in pixels."""
        width, height = self.size_mm
        return min(box[0] / width, box[1] / height)

    def only(self, indices: Sequence[int]) -> Montage:
        """Some of the slices, in the same grey scale, cropped separately."""
        places = [self.chosen.index(index) for index in indices]
        return replace(
            self,
            chosen=tuple(indices),
            grey=self.grey[places],
            head=self.head[places],
            shown=self.shown.at(places),
            wmh_ml=tuple(self.wmh_ml[place] for place in places),
        )

    def panel(self, index: int, box: tuple[int, int]) -> Panel:
        """One of the chosen slices, as large as the box (width, height) allows, in square millimetres."""
        place = self.chosen.index(index)
        scale = self.scale(box)
        size = (max(round(self.size_mm[0] * scale), 1), max(round(self.size_mm[1] * scale), 1))
        image = _draw_slice(self.grey[place][self.crop], self.shown.at([place]).cropped(*self.crop), size)
        return Panel(index, image, self.wmh_ml[place])


def choose_slices(mask: Planes, head: NDArray[np.bool_]) -> list[int]:
    """The slices to show, ascending.

    Those with WMH; without WMH those that show a head. Of more than `MOST_PANELS` as many at even distances, the one
    with most WMH among them.

    Args:
        mask: bool (slice, row, column).
        head: bool, same shape: not air.
    """
    per_slice = _per_slice(mask)
    shows_head = head.reshape(len(mask), -1).mean(axis=1) > _HEAD_FRACTION
    wanted = np.flatnonzero(per_slice) if per_slice.any() else np.flatnonzero(shows_head)
    if wanted.size == 0:
        wanted = np.arange(len(mask))
    return _thinned([int(index) for index in wanted], int(per_slice.argmax()))


def key_slices(mask: Planes, chosen: Sequence[int]) -> list[int]:
    """Of the chosen slices the `KEY_PANELS` with most WMH, ascending; without WMH as many at even distances.

    Args:
        mask: bool (slice, row, column).
        chosen: what `choose_slices` gave.
    """
    per_slice = _per_slice(mask)
    if len(chosen) <= KEY_PANELS:
        return list(chosen)
    if not per_slice.any():
        # The ends of the head show little: one more on either side is counted and left out.
        return [chosen[place] for place in _evenly(0, len(chosen) - 1, KEY_PANELS + 2)[1:-1]]
    return sorted(sorted(chosen, key=lambda index: (-per_slice[index], index))[:KEY_PANELS])


def lay_montage(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    outlined: Outlined,
    chosen: Sequence[int],
    head: NDArray[np.bool_],
) -> Montage:
    """Get slices ready to be drawn.

    Args:
        volume: intensities.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        outlined: masks (slice, row, column).
        chosen: indices of the slices, ascending, at least one.
        head: bool (slice, row, column): not air.
    """
    turn = display_turn(affine_lps)
    places = list(chosen)
    return Montage(
        chosen=tuple(places),
        grey=turn.apply(to_grey(volume.stored[places], head[places])),
        head=turn.apply(head[places]),
        shown=outlined.at(places).turned(turn),
        wmh_ml=tuple(float(np.count_nonzero(outlined.wmh[index]) * volume.voxel_volume_ml) for index in places),
        pixel_mm=turn.spacing(volume.spacing_mm),
        turn=turn,
    )


def _thinned(wanted: list[int], fullest: int) -> list[int]:
    """At most `MOST_PANELS` of the slices; the fullest stays where it is one of them."""
    if len(wanted) <= MOST_PANELS:
        return wanted
    chosen = [wanted[place] for place in _evenly(0, len(wanted) - 1, MOST_PANELS)]
    if fullest in wanted and fullest not in chosen:
        chosen[int(np.argmin(np.abs(np.array(chosen) - fullest)))] = fullest
    return chosen


def _per_slice(mask: Planes) -> NDArray[np.int64]:
    return np.asarray([np.count_nonzero(mask[index]) for index in range(len(mask))], np.int64)


def _evenly(first: int, last: int, count: int) -> list[int]:
    return [round(v) for v in np.linspace(first, last, count)]


def _run(flags: NDArray[np.bool_], margin: int) -> slice:
    found = np.flatnonzero(flags)
    if found.size == 0:
        return slice(0, len(flags))
    return slice(max(int(found[0]) - margin, 0), min(int(found[-1]) + margin + 1, len(flags)))


def _draw_slice(grey: NDArray[np.uint8], shown: Outlined, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One slice at `size` (width, height) with what is drawn over it, RGB."""
    large = (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING)
    canvas = cv2.cvtColor(
        cv2.resize(np.ascontiguousarray(grey), large, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB
    )
    draw_outlines(canvas, shown, 0)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)
