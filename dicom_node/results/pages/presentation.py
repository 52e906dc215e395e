"""The outlines as a Grayscale Softcopy Presentation State (PS3.3 A.33.1), for a PACS that shows neither SEG nor SR.

Its lines lie over the source's own images, along the edges of the pixels that were found: filling them gives the masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage
from pydicom.valuerep import format_number_as_ds

from dicom_node.node.version import SOFTWARE_NAME
from dicom_node.results.common.colours import DEEP_RGB, PERIVENTRICULAR_RGB, VENTRICLES_RGB, WMH_RGB, Colour
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.grid import grid_of
from dicom_node.results.common.headers import PRESENTATION_OFFSET, finish_header, result_series_number
from dicom_node.results.pages.contours import contours_of, pieces
from dicom_node.results.pages.source_display import SourceDisplay, Window, source_display
from dicom_node.series.read.series import FlairSeries, SourceFrame
from segmentation.boxed import BoxedMask
from segmentation.segment import Segmentation

SERIES_DESCRIPTION: Final = "WMH outlines - RESEARCH USE ONLY"
REPLACING_DESCRIPTION: Final = "WMH outlines, replace earlier ones - RESEARCH USE ONLY"
CONTENT_LABEL: Final = "WMH OUTLINES"
CONTENT_DESCRIPTION: Final = "White matter hyperintensities - RESEARCH USE ONLY"
_NOTE: Final = "WMH outlines by software - RESEARCH USE ONLY"
_NOTHING_NOTE: Final = "No WMH found by software - RESEARCH USE ONLY"
_NOTE_LAYER: Final = "NOTE"
# GraphicData is FL, whose length has 16 bits in explicit VR (PS3.5 7.1.2): 8191 points of two numbers.
_MOST_POINTS: Final = 8000


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Layer:
    """One kind of outline, to be switched on and off by itself.

    Attributes:
        name: GraphicLayer, CS of at most 16 characters.
        description: what it surrounds.
        colour: RGB.
        mask: where it is.
    """

    name: str
    description: str
    colour: Colour
    mask: BoxedMask


def layers_of(segmentation: Segmentation) -> tuple[Layer, ...]:
    """What there is to outline; WMH that is not divided has one layer."""
    wmh, inner = segmentation.kept_mask, segmentation.kept_periventricular
    ventricles = segmentation.kept_ventricles
    if inner is None:
        return (Layer("WMH", "White matter hyperintensities", WMH_RGB, wmh),)
    parts = (
        Layer("WMH_PERIVENTRIC", "Periventricular white matter hyperintensities", PERIVENTRICULAR_RGB, inner),
        Layer("WMH_DEEP", "Deep white matter hyperintensities", DEEP_RGB, wmh.without(inner)),
    )
    return parts if ventricles is None else (*parts, Layer("VENTRICLES", "Ventricles", VENTRICLES_RGB, ventricles))


def build_presentation_state(series: FlairSeries, segmentation: Segmentation, facts: AnalysisFacts) -> Dataset:
    """The presentation state of a result; the same arguments give the same bytes.

    Args:
        series: the source.
        segmentation: what was found.
        facts: who found it, when.

    Raises:
        ResultError: a frame of the series has no header.
    """
    source = series.headers[0]
    layers = layers_of(segmentation)
    result = Dataset()
    result.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    result.SOPInstanceUID = facts.uids.of("presentation-instance")
    result.SeriesInstanceUID = facts.uids.of("presentation-series")
    result.SeriesNumber = result_series_number(source, PRESENTATION_OFFSET)
    result.SeriesDescription = SERIES_DESCRIPTION if facts.predecessor is None else REPLACING_DESCRIPTION
    result.Modality = "PR"
    result.BodyPartExamined = "BRAIN"
    result.InstanceNumber = 1
    result.ContentLabel = CONTENT_LABEL
    result.ContentDescription = CONTENT_DESCRIPTION
    result.ContentCreatorName = f"{SOFTWARE_NAME}^"
    result.PresentationCreationDate, result.PresentationCreationTime = facts.stamp.date, facts.stamp.time
    result.ReferencedSeriesSequence = [_source_series(series)]
    result.DisplayedAreaSelectionSequence = [_displayed_area(series)]
    _set_greys(result, series, source_display(series))
    result.GraphicAnnotationSequence = [
        *_annotations(series, layers),
        _note(_NOTE if segmentation.kept_mask.any() else _NOTHING_NOTE),
    ]
    result.GraphicLayerSequence = _graphic_layers(layers)
    finish_header(result, source, facts.model, facts.stamp)
    del result.ContentDate, result.ContentTime  # PresentationCreationDate and -Time take their place (PS3.3 C.11.10)
    return result


def _images(frames: Sequence[SourceFrame]) -> list[Dataset]:
    """Items that refer to slices: one per instance, with its frame numbers where it is multi-frame."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for frame in frames:
        used = numbers.setdefault((frame.sop_class_uid, frame.sop_instance_uid), [])
        if frame.frame_number is not None:
            used.append(frame.frame_number)
    images = []
    for (sop_class, instance), used in numbers.items():
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = sop_class, instance
        if used:
            image.ReferencedFrameNumber = sorted(used)
        images.append(image)
    return images


def _source_series(series: FlairSeries) -> Dataset:
    """The Presentation State Relationship module's item (PS3.3 C.11.11)."""
    referenced = Dataset()
    referenced.SeriesInstanceUID = series.series_instance_uid
    referenced.ReferencedImageSequence = _images(series.frames)
    return referenced


def _displayed_area(series: FlairSeries) -> Dataset:
    """The Displayed Area module's item (PS3.3 C.10.4), the same for all images: the whole of each, as large as fits."""
    _, rows, columns = series.shape
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [columns, rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    area.PresentationPixelSpacing = [_decimal(value) for value in grid_of(series).pixel_spacing_mm]
    return area


def _set_greys(result: Dataset, series: FlairSeries, display: SourceDisplay) -> None:
    """Modality LUT, Softcopy VOI LUT, Softcopy Presentation LUT (PS3.3 C.11.1, C.11.8, C.11.6)."""
    if display.rescale is not None:
        result.RescaleSlope = _decimal(display.rescale.slope)
        result.RescaleIntercept = _decimal(display.rescale.intercept)
        result.RescaleType = "US"
    slices: dict[Window, list[SourceFrame]] = {}
    for frame, window in zip(series.frames, display.windows, strict=True):
        if window is not None:
            slices.setdefault(window, []).append(frame)
    if slices:
        result.SoftcopyVOILUTSequence = [_voi(window, frames) for window, frames in slices.items()]
    result.PresentationLUTShape = "INVERSE" if display.inverted else "IDENTITY"


def _voi(window: Window, frames: Sequence[SourceFrame]) -> Dataset:
    voi = Dataset()
    voi.ReferencedImageSequence = _images(frames)
    voi.WindowCenter, voi.WindowWidth = _decimal(window.centre), _decimal(window.width)
    return voi


def _annotations(series: FlairSeries, layers: Sequence[Layer]) -> Iterator[Dataset]:
    """Items of the Graphic Annotation module (PS3.3 C.10.5): one for each layer of each slice that has any of it."""
    for layer in layers:
        for frame, mask in zip(series.frames, layer.mask, strict=True):
            polygons = contours_of(mask)
            if polygons:
                annotation = Dataset()
                annotation.ReferencedImageSequence = _images([frame])
                annotation.GraphicLayer = layer.name
                annotation.GraphicObjectSequence = [line for polygon in polygons for line in _polylines(polygon)]
                yield annotation


def _polylines(polygon: NDArray[np.int64]) -> Iterator[Dataset]:
    """A closed border as one line, or as several that join where it has too many points for one."""
    for points in pieces(polygon, _MOST_POINTS):
        line = Dataset()
        line.GraphicAnnotationUnits = "PIXEL"  # (0, 0) is the corner of the first pixel (PS3.3 C.10.5.1.2)
        line.GraphicDimensions = 2
        line.NumberOfGraphicPoints = len(points)
        line.GraphicData = [float(number) for point in points for number in point]
        line.GraphicType = "POLYLINE"
        line.GraphicFilled = "N"
        yield line


def _note(words: str) -> Dataset:
    """A line of text at the lower edge of every image, whatever its size."""
    text = Dataset()
    text.BoundingBoxAnnotationUnits = "DISPLAY"
    text.UnformattedTextValue = words
    text.BoundingBoxTopLeftHandCorner = [0.02, 0.94]
    text.BoundingBoxBottomRightHandCorner = [0.98, 0.99]
    text.BoundingBoxTextHorizontalJustification = "LEFT"
    note = Dataset()
    note.GraphicLayer = _NOTE_LAYER
    note.TextObjectSequence = [text]
    return note


def _graphic_layers(layers: Sequence[Layer]) -> list[Dataset]:
    """Items of the Graphic Layer module (PS3.3 C.10.7), in drawing order."""
    described = [(layer.name, layer.description, layer.colour) for layer in layers]
    described.append((_NOTE_LAYER, "What the lines are", WMH_RGB))
    items = []
    for order, (name, description, colour) in enumerate(described, start=1):
        item = Dataset()
        item.GraphicLayer = name
        item.GraphicLayerOrder = order
        item.GraphicLayerDescription = description
        item.GraphicLayerRecommendedDisplayCIELabValue = list(CIELabColor.from_rgb(*colour).value)
        items.append(item)
    return items


def _decimal(number: float) -> str:
    """A number that DS can hold in its 16 characters (PS3.5 6.2)."""
    return str(format_number_as_ds(float(number)))
