"""From the files of a series to everything a result consists of; the same for the worker and for `wmh-node segment`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from db.measured import usable_volume_ml
from dicom_node.analyse.quarantine import keep_invalid
from dicom_node.node.errors import ResultNotValid, UnsupportedGeometry
from dicom_node.node.files import json_bytes, write_whole
from dicom_node.node.free_memory import give_back_free_memory
from dicom_node.node.outbox import NOT_VALID_NAME
from dicom_node.node.profiles import DeliveryOptions
from dicom_node.node.progress import StageProgress
from dicom_node.node.settings import Settings
from dicom_node.results.check.result_checks import check_result_set
from dicom_node.results.common.comparison import FollowUp, FollowUpFinding, NoEarlierScan, NotCompared
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.measurements import measurements_json
from dicom_node.results.pages.overlay import write_overlay
from dicom_node.results.result_set import ResultSet, build_result_set, write_result_set
from dicom_node.series.read.dark_air import require_dark_air
from dicom_node.series.read.head import require_head
from dicom_node.series.read.scan import require_scan
from dicom_node.series.read.series import FlairSeries, read_series
from segmentation.ensemble import Ensemble
from segmentation.errors import BadVolume
from segmentation.regions import PUBLISHED_RULE, RegionRule
from segmentation.segment import Segmentation, segment_volume

MEASUREMENTS_NAME = "measurements.json"
OVERLAY_NAME = "overlay.png"
_NOT_COMPARED = "The change since the earlier scan is not given, because the present result is not reliable."


@dataclass(frozen=True)
class Analysis:
    """One series, its segmentation, and how long reading took (seconds)."""

    series: FlairSeries
    segmentation: Segmentation
    seconds_read: float


@dataclass(frozen=True)
class WrittenAnalysis:
    """What was written.

    Attributes:
        objects: names of the DICOM files, in sending order.
        deliverable: which of these files each destination is sent, in sending order.
        measurements: the content of measurements.json.
        report: refers to the SR that every result set has.
        messages: names of the reports to systems without DICOM.
    """

    objects: tuple[str, ...]
    deliverable: Mapping[str, tuple[str, ...]]
    measurements: dict[str, Any]
    report: ReportReference
    messages: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every file of the result set."""
        return (*self.objects, *self.messages, MEASUREMENTS_NAME, OVERLAY_NAME)

    @property
    def volume_ml(self) -> float | None:
        """WMH volume, for logs; None where it is not reliable."""
        return usable_volume_ml(self.measurements)


def region_rule_of(settings: Settings) -> RegionRule:
    """Which WMH counts as periventricular on this node."""
    return RegionRule(settings.periventricular_mm, settings.periventricular_distance)


def analyse_files(
    paths: Sequence[Path],
    ensemble: Ensemble,
    progress: StageProgress | None = None,
    region_rule: RegionRule = PUBLISHED_RULE,
    flags: Sequence[str] = (),
    explained: Sequence[str] = (),
) -> Analysis:
    """Read the files of one series in this process, and segment it.

    Args:
        paths: the files.
        ensemble: by which model.
        progress: hears of the stages.
        region_rule: which WMH counts as periventricular.
        flags: what else is known about the series, beside what reading finds.
        explained: flags of reading that something beside the files explains.

    Raises:
        NotAnalysable: the series is refused; the reason is in the error.
    """
    report = progress or _silent
    report("read", 0, 1)
    started = time.monotonic()
    series = read_series(paths).without_flags(explained).with_flags(flags)
    seconds_read = time.monotonic() - started
    report("read", 1, 1)
    return analyse(series, ensemble, seconds_read, progress, region_rule)


def analyse(
    series: FlairSeries,
    ensemble: Ensemble,
    seconds_read: float,
    progress: StageProgress | None = None,
    region_rule: RegionRule = PUBLISHED_RULE,
) -> Analysis:
    """Segment one series.

    Args:
        series: as it was read.
        ensemble: by which model.
        seconds_read: how long reading took, for measurements.json.
        progress: called at each stage.
        region_rule: which WMH counts as periventricular.

    Raises:
        NotAnalysable: the series is refused; the reason is in the error.
    """
    require_scan(series.stored)
    require_dark_air(series.stored)
    require_head(series.stored, series.spacing_mm)
    try:
        segmentation = segment_volume(series.volume(), ensemble, progress, region_rule)
    except BadVolume as error:
        reason = f"The images do not form a volume that can be analysed: {error}"
        raise UnsupportedGeometry("bad_volume", reason) from error
    give_back_free_memory()  # a part of the volume's size, and writing needs as much again
    return Analysis(series, segmentation, seconds_read)


def write_analysis(
    analysis: Analysis,
    ensemble: Ensemble,
    analysed_at: datetime,
    folder: Path,
    progress: StageProgress | None = None,
    predecessor: ReportReference | None = None,
    all_options: Mapping[str, DeliveryOptions] = MappingProxyType({}),
    follow_up: FollowUp | None = None,
) -> WrittenAnalysis:
    """Write the objects that the default profile and any destination want, measurements.json and overlay.png, into a
    folder, each synced.

    Args:
        analysis: what `analyse` gave.
        ensemble: the model that made it; named in every result.
        analysed_at: the time that every object carries. The same when the step is repeated, so that the bytes are.
        folder: must exist.
        progress: stage "write".
        predecessor: the report about an earlier state of the series.
        all_options: what each destination is sent, by its name.
        follow_up: the earlier result of the patient to compare with.

    Raises:
        ResultError: an object cannot be built.
        ResultNotValid: the set failed validation; it was kept in `folder`/not-valid, and nothing else was written.
    """
    report = progress or _silent
    report("write", 0, 1)
    started = time.monotonic()
    comparison = None if follow_up is None else _compared(follow_up, analysis.segmentation)
    result_set = build_result_set(
        series=analysis.series,
        segmentation=analysis.segmentation,
        model=ensemble.identity,
        runtime=ensemble.runtime,
        precision=ensemble.precision,
        analysed_at=analysed_at,
        threshold=ensemble.threshold,
        predecessor=predecessor,
        all_options=tuple(all_options.values()),
        comparison=comparison,
    )
    _require_valid(result_set, analysis.series, folder)
    write_result_set(result_set, folder)
    write_overlay(result_set.summary, folder / OVERLAY_NAME)
    seconds_write = time.monotonic() - started
    measurements = measurements_json(
        series=analysis.series,
        segmentation=analysis.segmentation,
        model=ensemble.identity,
        seconds_read=analysis.seconds_read,
        seconds_write=seconds_write,
        comparison=comparison,
    )
    write_whole(folder / MEASUREMENTS_NAME, json_bytes(measurements))
    report("write", 1, 1)
    return WrittenAnalysis(
        objects=tuple(obj.name for obj in result_set.objects),
        deliverable={name: result_set.names_for(options) for name, options in all_options.items()},
        measurements=measurements,
        report=ReportReference.to(result_set.sr),
        messages=tuple(message.name for message in result_set.messages),
    )


def _compared(follow_up: FollowUp, segmentation: Segmentation) -> FollowUpFinding:
    """The change since the earlier scan; none where the present number must not be used."""
    if isinstance(follow_up, NoEarlierScan):
        return follow_up
    if not segmentation.is_reliable:
        return NotCompared(follow_up.report, _NOT_COMPARED, "present_not_reliable")
    return follow_up.against(segmentation.measures)


def _require_valid(result_set: ResultSet, series: FlairSeries, folder: Path) -> None:
    try:
        check_result_set(result_set.objects, series.headers, result_set.messages)
    except ResultNotValid as error:
        keep_invalid(result_set, error, folder / NOT_VALID_NAME)
        raise


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
