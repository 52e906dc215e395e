"""How the source's images are to be shown: their own window where they state one, else one that suits FLAIR.

A presentation state takes the place of what the images say about their display (PS3.4 N.2): one without a window shows
them nearly black.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.results.common.grid import source_frames
from dicom_node.results.pages.display import grey_window, head_mask
from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame
from dicom_node.series.read.series import FlairSeries


@dataclass(frozen=True)
class Rescale:
    """Stored to shown values: slope times stored plus intercept (PS3.3 C.11.1)."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Window:
    """WindowCenter and WindowWidth (PS3.3 C.11.2)."""

    centre: float
    width: float

    def before(self, rescale: Rescale) -> Window:
        """The same window for values that are not rescaled."""
        return Window((self.centre - rescale.intercept) / rescale.slope, self.width / abs(rescale.slope))


@dataclass(frozen=True)
class SourceDisplay:
    """How to show the slices.

    Attributes:
        rescale: where all slices share one; None where they share none, or state none.
        windows: per slice, for values after `rescale`; None where neither the image nor we know one.
        inverted: low values are bright (MONOCHROME1).
    """

    rescale: Rescale | None
    windows: tuple[Window | None, ...]
    inverted: bool


def source_display(series: FlairSeries) -> SourceDisplay:
    """How the images of a series are to be shown.

    Raises:
        ResultError: a frame of the series has no header.
    """
    frames = source_frames(series)
    rescales = [_rescale(frame) for frame in frames]
    inverted = values.text(frames[0].header, "PhotometricInterpretation") == "MONOCHROME1"
    stated_windows = [_stated_window(frame) for frame in frames]
    own = None if all(stated_windows) else _own_window(series, inverted)
    windows = [window or own for window in stated_windows]
    if len(set(rescales)) == 1:
        stated = rescales[0] != Rescale(1.0, 0.0)
        return SourceDisplay(rescales[0] if stated else None, tuple(windows), inverted)
    # One presentation state has one Modality LUT for all: without it windows speak of stored values.
    before = (window and window.before(rescale) for window, rescale in zip(windows, rescales, strict=True))
    return SourceDisplay(None, tuple(before), inverted)


def _rescale(frame: Frame) -> Rescale:
    slope, intercept = frame.number_of("RescaleSlope"), frame.number_of("RescaleIntercept")
    return Rescale(slope or 1.0, intercept or 0.0)


def _stated_window(frame: Frame) -> Window | None:
    """The first of the windows that the image states: of several, viewers show that one first."""
    for group in frame.groups:  # Frame VOI LUT macro (PS3.3 C.7.6.16.2.10)
        item = values.first_item(group, "FrameVOILUTSequence")
        if item is not None:
            return _window(item)
    return _window(frame.header)


def _window(holder: Dataset) -> Window | None:
    centre, width = values.number(holder, "WindowCenter"), values.number(holder, "WindowWidth")
    if centre is None or width is None or width < 1:  # PS3.3 C.11.2.1.2: at least 1
        return None
    return Window(centre, width)


def _own_window(series: FlairSeries, inverted: bool) -> Window | None:
    """One for all slices; None for inverted images, whose voxels are turned and have lost their stored scale."""
    if inverted:
        return None
    black, white = grey_window(series.stored, head_mask(series.stored))
    return Window((black + white) / 2, max(white - black, 1.0))
