"""The result set of one series: SEG and SR that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_node.reading.series import FlairSeries
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation


@dataclass(frozen=True)
class ResultSet:
    """What is sent to the destinations, in this order."""

    seg: Dataset
    sr: Dataset


def build_result_set(
    series: FlairSeries,
    segmentation: Segmentation,
    model: ModelIdentity,
    runtime: str,
    precision: str,
    analysed_at: datetime,
    threshold: float | None = None,
) -> ResultSet:
    """Build SEG and SR; the same arguments give the same bytes.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    raise NotImplementedError


def write_result_set(result_set: ResultSet, folder: Path) -> list[Path]:
    """Write seg.dcm and sr.dcm into an existing folder, each whole or not there; returns them in sending order."""
    raise NotImplementedError
