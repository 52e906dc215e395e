"""The pages as an Encapsulated PDF (PS3.3 A.45.1), for a PACS or a person that reads documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from dicom_node.results.common import codes
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.headers import PDF_OFFSET, finish_header, result_series_number, source_images
from dicom_node.results.pages.content import content_of_series
from dicom_node.results.pages.pages import draw_pages
from dicom_node.results.pages.pdf import pdf_of
from dicom_node.series.read.series import FlairSeries
from segmentation.segment import Segmentation

SERIES_DESCRIPTION: Final = "WMH report (PDF) - RESEARCH USE ONLY"
REPLACING_DESCRIPTION: Final = "WMH report (PDF), replaces earlier one - RESEARCH USE ONLY"
TITLE: Final = "White matter hyperintensities on FLAIR - RESEARCH USE ONLY"


def build_pdf(series: FlairSeries, segmentation: Segmentation, flags: Sequence[str], facts: AnalysisFacts) -> Dataset:
    """The pages of the summary as one document; the same arguments give the same bytes.

    Args:
        series: the source.
        segmentation: what was found.
        flags: of reading and segmentation.
        facts: who found it, when.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    source = series.headers[0]
    pages = draw_pages(content_of_series(series, segmentation, flags, facts.model, facts.comparison))
    result = Dataset()
    result.SOPClassUID = EncapsulatedPDFStorage
    result.SOPInstanceUID = facts.uids.of("pdf-instance")
    result.SeriesInstanceUID = facts.uids.of("pdf-series")
    result.SeriesNumber = result_series_number(source, PDF_OFFSET)
    result.SeriesDescription = SERIES_DESCRIPTION if facts.predecessor is None else REPLACING_DESCRIPTION
    result.Modality = "DOC"
    result.ConversionType = "WSD"
    result.InstanceNumber = 1
    result.AcquisitionDateTime = ""  # type 2: the images have their own
    result.BurnedInAnnotation = "NO"  # the pages hold no name, no ID and no birth date
    result.SourceInstanceSequence = [*source_images(series.headers), *_pages(len(pages), facts)]
    result.DocumentTitle = TITLE
    result.ConceptNameCodeSequence = [codes.MEASUREMENT_REPORT]
    result.MIMETypeOfEncapsulatedDocument = "application/pdf"
    _set_document(result, pdf_of(pages, TITLE))
    finish_header(result, source, facts.model, facts.stamp)
    return result


def _pages(count: int, facts: AnalysisFacts) -> list[Dataset]:
    """The same pages as images, so that who has the document finds the set."""
    found = []
    for number in range(1, count + 1):
        page = Dataset()
        page.ReferencedSOPClassUID = SecondaryCaptureImageStorage
        page.ReferencedSOPInstanceUID = facts.uids.page(number)
        found.append(page)
    return found


def _set_document(result: Dataset, document: bytes) -> None:
    """The document, padded to an even length, and the length that it has without (PS3.3 C.24.2)."""
    result.EncapsulatedDocument = document + b"\x00" * (len(document) % 2)
    result.EncapsulatedDocumentLength = len(document)
