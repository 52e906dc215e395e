"""The summary image: what a radiologist wants to know first, as pages that any PACS shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.errors import NotAnalysable
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.pages.content import content_of_series
from dicom_node.results.pages.pages import draw_pages
from dicom_node.results.pages.refusal_page import draw_refusal
from dicom_node.results.pages.secondary_capture import CapturedSeries, capture
from dicom_node.series.dicom import values
from dicom_node.series.read.series import FlairSeries
from segmentation.segment import Segmentation

SERIES_DESCRIPTION: Final = "WMH summary - RESEARCH USE ONLY"
REPLACING_DESCRIPTION: Final = "WMH summary, replaces earlier one - RESEARCH USE ONLY"
REFUSAL_DESCRIPTION: Final = "WMH: not analysed - RESEARCH USE ONLY"
_DERIVATION: Final = "Summary of an automatic segmentation of white matter hyperintensities - RESEARCH USE ONLY"


def build_summary(
    series: FlairSeries, segmentation: Segmentation, flags: Sequence[str], facts: AnalysisFacts
) -> tuple[Dataset, ...]:
    """The pages of a result as Secondary Capture images of one series; the same arguments give the same bytes.

    Args:
        series: the source.
        segmentation: what was found.
        flags: of reading and segmentation.
        facts: who found it, when.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    pages = draw_pages(content_of_series(series, segmentation, flags, facts.model, facts.comparison))
    uids = facts.uids
    about = CapturedSeries(
        headers=series.headers,
        model=facts.model,
        stamp=facts.stamp,
        series_uid=uids.of("summary-series"),
        instance_uids=tuple(map(uids.page, range(1, len(pages) + 1))),
        description=SERIES_DESCRIPTION if facts.predecessor is None else REPLACING_DESCRIPTION,
        derivation=_DERIVATION,
    )
    return capture(pages, about)


def build_refusal(headers: Sequence[Dataset], reason: NotAnalysable, facts: AnalysisFacts) -> tuple[Dataset, ...]:
    """The page that says why a series was not analysed, as a Secondary Capture image.

    Args:
        headers: instances of the series, at least one with an identity; the first lends patient and study.
        reason: why not.
        facts: who looked at it, when.
    """
    source = headers[0]
    about = CapturedSeries(
        headers=_of_one_series(headers),
        model=facts.model,
        stamp=facts.stamp,
        series_uid=facts.uids.of("refusal-summary-series"),
        instance_uids=(facts.uids.of("refusal-summary-instance-1"),),
        description=REFUSAL_DESCRIPTION,
        derivation=None,
    )
    return capture([draw_refusal(reason, values.whole(source, "SeriesNumber"))], about)


def _of_one_series(headers: Sequence[Dataset]) -> list[Dataset]:
    """The instances that can be referred to: each once, of the first one's series, with class and UID."""
    wanted = values.text(headers[0], "SeriesInstanceUID")
    named = {
        values.text(header, "SOPInstanceUID"): header
        for header in headers
        if values.text(header, "SeriesInstanceUID") == wanted and values.text(header, "SOPClassUID")
    }
    return [header for uid, header in named.items() if uid]
