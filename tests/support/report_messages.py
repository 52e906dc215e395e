"""Reports to other systems, built from a small series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.node.profiles import MESSAGE_OPTIONS, MessageKind
from dicom_node.results.result_set import ResultSet
from dicom_node.series.read.series import FlairSeries
from segmentation.plausibility import Plausibility, Reason
from segmentation.regions import RegionRule

PATIENT = {"PatientName": "Muster^Anna|M^^Dr^II", "PatientID": "4711-0815", "PatientBirthDate": "19500102"}
ORDER = {"AccessionNumber": "ACC-99", "IssuerOfPatientID": "HOSP"}
NOT_RELIABLE = Plausibility((Reason("no_brain", "not_reliable", "no brain was found", "No brain was found."),))


def reported(
    folder: Path, *, plausibility: Plausibility | None = None, divided: bool = True, **options: Any
) -> tuple[FlairSeries, ResultSet]:
    """A series and its result set with both messages."""
    series = series_of(CASES[0], folder, extra={**PATIENT, **ORDER})
    found = segmentation_of(series, divided=RegionRule(10, "2d") if divided else None)
    if plausibility is not None:
        found = replace(found, plausibility=plausibility)
    return series, result_set_of(series, found, all_options=tuple(MESSAGE_OPTIONS.values()), **options)


def content_of(result: Any, kind: MessageKind) -> bytes:
    """The bytes of one message."""
    (message,) = [message for message in result.messages if message.kind is kind]
    return message.content
