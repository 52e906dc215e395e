"""The result set of one series: SEG and SR that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.errors import ResultError
from dicom_node.files import write_whole
from dicom_node.reading.series import FlairSeries
from dicom_node.results.facts import AnalysisFacts
from dicom_node.results.predecessor import ReportReference
from dicom_node.results.region_groups import rule_as_text
from dicom_node.results.report import build_report
from dicom_node.results.seg import build_seg
from dicom_node.results.stamp import stamp_of
from dicom_node.results.uids import ResultUids
from dicom_node.results.writing import part10_bytes
from dicom_node.version import SOFTWARE_VERSION
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation

SEG_NAME: Final = "seg.dcm"
SR_NAME: Final = "sr.dcm"


@dataclass(frozen=True)
class ResultSet:
    """What is sent to the destinations, in this order: a report must not arrive before what it refers to."""

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
    predecessor: ReportReference | None = None,
) -> ResultSet:
    """Build SEG and SR; the same arguments give the same bytes.

    Args:
        series: the source.
        segmentation: what was found in it.
        model: what found it.
        runtime, precision: what the model ran on, see `segmentation.ensemble`.
        analysed_at: with a time zone; the time that both objects carry.
        threshold: mean probability at or above which a voxel is WMH; not told when None.
        predecessor: the report about an earlier state of the series, which this one takes the place of.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    _check(series, segmentation)
    facts = AnalysisFacts(
        uids=ResultUids(
            series_instance_uid=series.series_instance_uid,
            instances_digest=series.instances_digest,
            model_digest=model.digest,
            runtime=runtime,
            precision=precision,
            software_version=SOFTWARE_VERSION,
            predecessor=None if predecessor is None else predecessor.sop_instance_uid,
            region_rule=None if segmentation.regions is None else rule_as_text(segmentation.regions),
        ),
        model=model,
        runtime=runtime,
        precision=precision,
        threshold=threshold,
        stamp=stamp_of(analysed_at, series.headers[0]),
        predecessor=predecessor,
    )
    seg = build_seg(series, segmentation.mask, facts)
    flags = (*series.flags, *segmentation.flags)
    return ResultSet(seg=seg, sr=build_report(series, segmentation, flags, seg, facts))


def write_result_set(result_set: ResultSet, folder: Path) -> list[Path]:
    """Write seg.dcm and sr.dcm into an existing folder, each whole or not there; returns them in sending order."""
    files = []
    for name, dataset in ((SEG_NAME, result_set.seg), (SR_NAME, result_set.sr)):
        write_whole(folder / name, part10_bytes(dataset))
        files.append(folder / name)
    return files


def _check(series: FlairSeries, segmentation: Segmentation) -> None:
    expected, found = series.voxels.shape, segmentation.mask.shape
    if found != expected:
        raise ResultError(f"expected a mask of shape {expected} as the series, got {found}")
    if segmentation.mask.dtype != bool:
        raise ResultError(f"expected a mask of bool, got {segmentation.mask.dtype}")
    if len(series.frames) != expected[0] or not series.headers:
        raise ResultError(
            f"expected {expected[0]} source frames with headers, got {len(series.frames)} with {len(series.headers)}"
        )
