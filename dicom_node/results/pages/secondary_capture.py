"""Pages as Secondary Capture images (PS3.3 A.8.1): what every PACS shows, also one that shows neither SEG nor SR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.results.common import codes
from dicom_node.results.common.equipment import RESEARCH_USE
from dicom_node.results.common.headers import (
    SUMMARY_OFFSET,
    finish_header,
    reference_to,
    referenced_series,
    result_series_number,
    source_images,
)
from dicom_node.results.common.identity import copy_elements
from dicom_node.results.common.stamp import Stamp
from dicom_node.series.dicom import values
from segmentation.bundle import ModelIdentity

# "OT" and not the source's "MR": hanging protocols must not take a page for one more MR series (PS3.3 C.7.3.1.1.1).
_MODALITY: Final = "OT"
_LOSS: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class CapturedSeries:
    """What the pages of one series of captures have in common.

    Attributes:
        headers: the source's instances, all of one series; the first one lends patient and study.
        model, stamp: who made the pages, when.
        series_uid: SeriesInstanceUID.
        instance_uids: SOPInstanceUID of each page.
        description: SeriesDescription.
        derivation: DerivationDescription, as text; None where no pixel of the source went into the pages.
    """

    headers: Sequence[Dataset]
    model: ModelIdentity
    stamp: Stamp
    series_uid: str
    instance_uids: tuple[str, ...]
    description: str
    derivation: str | None


def capture(pages: Sequence[Image.Image], about: CapturedSeries) -> tuple[Dataset, ...]:
    """One instance per page, RGB, in page order.

    BurnedInAnnotation is NO: it states whether a page has enough text "to identify the patient and date the image was
    acquired" (PS3.3 C.7.6.1.1.5), and a page holds no name, no ID and no birth date.

    Args:
        pages: RGB images.
        about: as many `instance_uids` as pages.
    """
    return tuple(
        _capture(page, uid, number, about)
        for number, (page, uid) in enumerate(zip(pages, about.instance_uids, strict=True), start=1)
    )


def _capture(page: Image.Image, instance_uid: str, number: int, about: CapturedSeries) -> Dataset:
    source = about.headers[0]
    result = Dataset()
    result.SOPClassUID = SecondaryCaptureImageStorage
    result.SOPInstanceUID = instance_uid
    result.SeriesInstanceUID = about.series_uid
    result.SeriesNumber = result_series_number(source, SUMMARY_OFFSET)
    result.SeriesDescription = about.description
    result.Modality = _MODALITY
    result.BodyPartExamined = "BRAIN"
    result.ConversionType = "WSD"  # from a workstation (PS3.3 C.8.6.1)
    result.InstanceNumber = number
    result.ImageType = ["DERIVED", "SECONDARY"]
    result.PatientOrientation = ""  # of a page with many slices
    result.BurnedInAnnotation = "NO"
    result.ImageComments = RESEARCH_USE
    if about.derivation is not None:
        result.DerivationDescription = about.derivation
        result.DerivationCodeSequence = [codes.SEGMENTATION]
        result.SourceImageSequence = source_images(about.headers)
    else:
        result.ReferencedImageSequence = [reference_to(header) for header in about.headers]
    result.ReferencedSeriesSequence = [referenced_series(values.text(source, "SeriesInstanceUID"), about.headers)]
    result.DateOfSecondaryCapture = about.stamp.date
    result.TimeOfSecondaryCapture = about.stamp.time
    _pass_on_loss(result, about.headers)
    _set_pixels(result, page)
    finish_header(result, source, about.model, about.stamp)
    return result


def _pass_on_loss(result: Dataset, headers: Sequence[Dataset]) -> None:
    """Pictures of lossy images must say so (PS3.3 C.7.6.1.1.5)."""
    for header in headers:
        if values.text(header, "LossyImageCompression") == "01":
            copy_elements(header, result, _LOSS)
            return


def _set_pixels(result: Dataset, page: Image.Image) -> None:
    """The Image Pixel module (PS3.3 C.7.6.3), uncompressed."""
    pixels = page.convert("RGB").tobytes()
    result.SamplesPerPixel = 3
    result.PhotometricInterpretation = "RGB"
    result.PlanarConfiguration = 0
    result.Rows, result.Columns = page.height, page.width
    result.BitsAllocated, result.BitsStored, result.HighBit, result.PixelRepresentation = 8, 8, 7, 0
    result.add_new("PixelData", "OB", pixels + b"\x00" * (len(pixels) % 2))
