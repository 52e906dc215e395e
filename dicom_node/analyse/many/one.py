"""Analyse one series of many, or the only one: DICOM into a result set, NIfTI into masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dicom_node.analyse.analysis import analyse_files, write_analysis
from dicom_node.analyse.follow_up.none_known import none_known
from dicom_node.analyse.many.bids import BidsWriter
from dicom_node.analyse.many.inputs import InputSeries
from dicom_node.analyse.nifti import NiftiAnalysis, segment_nifti
from dicom_node.analyse.segment_series import arrival_of
from dicom_node.node.files import make_folder, write_whole
from dicom_node.node.profiles import DEFAULT_OPTIONS, DeliveryOptions
from dicom_node.node.progress import StageProgress
from dicom_node.results.pages.content import Content, content_of_series, content_of_volume
from dicom_node.results.pages.strip import draw_strip
from dicom_node.series.read.flair_series import FEWER_ANNOUNCED, LONGER_IN_STUDY, UNREADABLE_FILES
from segmentation.ensemble import Ensemble
from segmentation.regions import PUBLISHED_RULE, RegionRule

STRIP_NAME: Final = "contact.jpg"


@dataclass(frozen=True)
class SeriesOptions:
    """What is written of each series.

    Attributes:
        delivery: which DICOM objects; its `probability_map` holds for NIfTI too.
        region_rule: which WMH counts as periventricular.
        strip: also `contact.jpg`, for the contact sheet.
        bids: also into this BIDS data set.
    """

    delivery: DeliveryOptions = DEFAULT_OPTIONS
    region_rule: RegionRule = PUBLISHED_RULE
    strip: bool = False
    bids: BidsWriter | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What decides about the content of the results, as JSON."""
        return {
            "profile": self.delivery.profile.name,
            "probability_map": self.delivery.probability_map,
            "periventricular_mm": self.region_rule.distance_mm,
            "periventricular_distance": self.region_rule.distance_rule,
            "bids": self.bids is not None,
        }


def analyse_input(
    series: InputSeries, ensemble: Ensemble, folder: Path, options: SeriesOptions, progress: StageProgress
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Analyse a series into a folder, which is made; returns the measurements and the names of the files in it.

    Raises:
        NotAnalysable: the series is refused; the reason is in the error.
    """
    make_folder(folder)
    if series.is_nifti:
        return _nifti(series, ensemble, folder, options, progress)
    known = {UNREADABLE_FILES: bool(series.lost), LONGER_IN_STUDY: series.is_shorter}
    flags = [flag for flag, holds in known.items() if holds]
    explained = [FEWER_ANNOUNCED] if series.has_echoes else []
    analysis = analyse_files(series.files, ensemble, progress, options.region_rule, flags, explained)
    arrived = arrival_of(series.files)
    source, segmentation = analysis.series, analysis.segmentation
    earlier, profile = none_known(source.headers[0]), {"files": options.delivery}
    written = write_analysis(analysis, ensemble, arrived, folder, progress, all_options=profile, follow_up=earlier)
    names = [*written.names]
    if options.strip:
        flags = [*source.flags, *segmentation.flags]
        names.append(_write_strip(content_of_series(source, segmentation, flags, None), folder))
    if options.bids is not None:
        options.bids.write_dicom(series, source, segmentation, written.measurements)
    return written.measurements, tuple(names)


def _nifti(
    series: InputSeries, ensemble: Ensemble, folder: Path, options: SeriesOptions, progress: StageProgress
) -> tuple[dict[str, Any], tuple[str, ...]]:
    (path,) = series.files
    done = segment_nifti(path, ensemble, folder, progress, options.region_rule, options.delivery.probability_map)
    names = [*done.names]
    if options.strip:
        names.append(_write_strip(_content(done), folder))
    if options.bids is not None:
        options.bids.write_nifti(series, done.grid, done.segmentation, done.measurements)
    return done.measurements, tuple(names)


def _content(done: NiftiAnalysis) -> Content:
    flags = [*done.grid.flags, *done.segmentation.flags]
    return content_of_volume(done.volume, done.grid.axial_affine_lps, done.segmentation, flags, None)


def _write_strip(content: Content, folder: Path) -> str:
    write_whole(folder / STRIP_NAME, draw_strip(content))
    return STRIP_NAME
