"""Which slices a picture shows, and each of them drawn with its WMH outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.results.display import display_turn, head_mask, to_grey
from dicom_node.results.outlines import Outlined, draw_outlines
from segmentation.volume import FlairVolume

FEWEST_PANELS: Final = 10
MOST_PANELS: Final = 25
_MARGIN_MM: Final = 6.0
_OVERSAMPLING: Final = 2  # drawn twice as large and averaged, so that outlines are smooth

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


@dataclass(frozen=True)
class Montage:
    """The panels of a picture, in slice order, all with the same size and scale.

    Attributes:
        panels: at least one.
        left, right: letters of the patient's sides at the panels' edges.
        pixels_per_mm: scale of the panels.
    """

    panels: tuple[Panel, ...]
    left: str
    right: str
    pixels_per_mm: float


def choose_slices(mask: NDArray[np.bool_], head: NDArray[np.bool_]) -> list[int]:
    """The slices to show, ascending.

    The run of slices from below the lowest WMH to above the highest, widened to `FEWEST_PANELS`; without WMH all slices
    that show a head. Of more than `MOST_PANELS`, as many at even distances, the one with most WMH among them.

    Args:
        mask: bool (slice, row, column).
        head: bool, same shape: not air.
    """
    count = len(mask)
    per_slice = mask.reshape(count, -1).sum(axis=1)
    shows_head = head.reshape(count, -1).mean(axis=1) > _HEAD_FRACTION
    wanted = np.flatnonzero(per_slice) if per_slice.any() else np.flatnonzero(shows_head)
    if wanted.size == 0:
        wanted = np.arange(count)
    first, last = max(int(wanted[0]) - 1, 0), min(int(wanted[-1]) + 1, count - 1)
    while last - first + 1 < min(FEWEST_PANELS, count):
        first, last = max(first - 1, 0), min(last + 1, count - 1)
    if last - first + 1 <= MOST_PANELS:
        return list(range(first, last + 1))
    chosen = [round(v) for v in np.linspace(first, last, MOST_PANELS)]
    fullest = int(per_slice.argmax())
    if per_slice.any() and fullest not in chosen:
        chosen[int(np.argmin(np.abs(np.array(chosen) - fullest)))] = fullest
    return chosen


def draw_montage(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    outlined: Outlined,
    chosen: Sequence[int],
    panel_width: int,
) -> Montage:
    """Draw slices, cropped to the head and scaled to square millimetres.

    Args:
        volume: intensities.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        outlined: masks (slice, row, column).
        chosen: indices of the slices to draw, ascending, at least one.
        panel_width: in pixels.
    """
    turn = display_turn(affine_lps)
    places = list(chosen)
    head = head_mask(volume.voxels)[places]
    row_mm, column_mm = turn.spacing(volume.spacing_mm)
    rows, columns = _crop(turn.apply(head), row_mm, column_mm)
    grey = turn.apply(to_grey(volume.voxels[places], head))[:, rows, columns]
    shown = outlined.at(places).turned(turn, rows, columns)
    pixels_per_mm = panel_width / (grey.shape[2] * column_mm)
    size = (panel_width, round(grey.shape[1] * row_mm * pixels_per_mm))
    panels = tuple(
        Panel(
            index=index,
            image=_draw_slice(grey[place], shown, place, size),
            wmh_ml=float(np.count_nonzero(outlined.wmh[index]) * volume.voxel_volume_ml),
        )
        for place, index in enumerate(places)
    )
    return Montage(panels, turn.left, turn.right, pixels_per_mm)


def _crop(head: NDArray[np.bool_], row_mm: float, column_mm: float) -> tuple[slice, slice]:
    """Rows and columns that hold the head in all shown slices, with a margin; everything where there is none."""
    seen = head.any(axis=0)
    # A row counts when two per cent of it is head: noise in air must not widen the crop.
    return (
        _run(seen.mean(axis=1) > 0.02, round(_MARGIN_MM / row_mm)),
        _run(seen.mean(axis=0) > 0.02, round(_MARGIN_MM / column_mm)),
    )


def _run(flags: NDArray[np.bool_], margin: int) -> slice:
    found = np.flatnonzero(flags)
    if found.size == 0:
        return slice(0, len(flags))
    return slice(max(int(found[0]) - margin, 0), min(int(found[-1]) + margin + 1, len(flags)))


def _draw_slice(grey: NDArray[np.uint8], shown: Outlined, place: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One slice at `size` (width, height) with its outlines, RGB."""
    large = (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING)
    canvas = cv2.cvtColor(
        cv2.resize(np.ascontiguousarray(grey), large, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB
    )
    draw_outlines(canvas, shown, place)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.uint8)
