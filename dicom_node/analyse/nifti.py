"""Analysis of a NIfTI file: masks on its own grid in place of SEG and SR."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dicom_node.analyse.analysis import MEASUREMENTS_NAME, OVERLAY_NAME
from dicom_node.node.errors import UnreadableObject
from dicom_node.node.files import json_bytes, write_whole
from dicom_node.node.progress import StageProgress
from dicom_node.results.measurements import measurements_json
from dicom_node.results.pages.overlay import write_volume_overlay
from dicom_node.series.geometry.stacking import WHOLE_BRAIN_MM, require_close_slices
from dicom_node.series.read.dark_air import require_dark_air
from dicom_node.series.read.head import require_head
from dicom_node.series.read.scan import require_scan
from segmentation.ensemble import Ensemble
from segmentation.errors import BadVolume
from segmentation.nifti import NiftiGrid, read_flair_nifti, write_map_nifti, write_mask_nifti
from segmentation.regions import PUBLISHED_RULE, RegionRule
from segmentation.segment import Segmentation, segment_volume
from segmentation.volume import FlairVolume

MASK_NAME: Final = "wmh.nii.gz"
REGIONS_NAME: Final = "regions.nii.gz"
PROBABILITY_NAME: Final = "probability.nii.gz"
REGION_LABELS: Final = {1: "periventricular WMH", 2: "deep WMH", 3: "ventricles"}
"""What the values of `regions.nii.gz` mean; 0 is everything else."""


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class NiftiAnalysis:
    """One NIfTI file with its segmentation.

    Attributes:
        volume: intensities, (slice, row, column).
        grid: the file's geometry.
        segmentation: what was found.
        measurements: the content of measurements.json.
        names: of the files that were written.
    """

    volume: FlairVolume
    grid: NiftiGrid
    segmentation: Segmentation
    measurements: dict[str, Any]
    names: tuple[str, ...]


def segment_nifti(
    path: Path,
    ensemble: Ensemble,
    folder: Path,
    progress: StageProgress,
    region_rule: RegionRule = PUBLISHED_RULE,
    probability_map: bool = False,
) -> NiftiAnalysis:
    """Segment one file; writes wmh.nii.gz, measurements.json, overlay.png, and regions.nii.gz where there are regions.

    Every image has the qform and sform of the source.

    Args:
        path: the file.
        ensemble: by which model.
        folder: for the results; must exist.
        progress: hears of the stages.
        region_rule: which WMH counts as periventricular.
        probability_map: also write probability.nii.gz, float32.

    Raises:
        UnreadableObject: the file is no FLAIR volume in NIfTI.
        UnsupportedGeometry: its slices are too far apart.
        NotFlair: it shows a mask, a label map, noise, or an inverted grey scale.
    """
    progress("read", 0, 1)
    started = time.monotonic()
    try:
        volume, grid = read_flair_nifti(path)
        seconds_read = time.monotonic() - started
        require_close_slices(volume.spacing_mm[0])
        require_scan(volume.stored)
        require_dark_air(volume.stored)
        require_head(volume.stored, volume.spacing_mm)
        progress("read", 1, 1)
        segmentation = segment_volume(volume, ensemble, progress, region_rule)
    except BadVolume as error:
        raise UnreadableObject("bad_nifti", f"The NIfTI file cannot be analysed: {error}") from error
    progress("write", 0, 1)
    started = time.monotonic()
    flags = _flags_of(volume, grid)
    names = _write_images(folder, grid, segmentation, probability_map)
    write_volume_overlay(volume, grid.axial_affine_lps, segmentation, folder / OVERLAY_NAME, ensemble.identity, flags)
    measurements = measurements_json(
        None,
        segmentation,
        ensemble.identity,
        seconds_read,
        seconds_write=time.monotonic() - started,
        flags=flags,
        input_name=path.name,
    )
    write_whole(folder / MEASUREMENTS_NAME, json_bytes(measurements))
    progress("write", 1, 1)
    return NiftiAnalysis(volume, grid, segmentation, measurements, (*names, OVERLAY_NAME, MEASUREMENTS_NAME))


def _flags_of(volume: FlairVolume, grid: NiftiGrid) -> tuple[str, ...]:
    is_short = volume.spacing_mm[0] * volume.shape[0] < WHOLE_BRAIN_MM
    return (*grid.flags, "short_coverage") if is_short else grid.flags


def region_labels(segmentation: Segmentation) -> NDArray[np.uint8] | None:
    """`REGION_LABELS` as one map (slice, row, column); where ventricle and WMH meet, WMH. None without ventricles."""
    if segmentation.ventricles is None or segmentation.periventricular is None:
        return None
    labels = np.where(segmentation.ventricles, np.uint8(3), np.uint8(0))
    labels[segmentation.mask] = 2
    labels[segmentation.periventricular] = 1
    return labels.astype(np.uint8)


def _write_images(folder: Path, grid: NiftiGrid, segmentation: Segmentation, probability_map: bool) -> tuple[str, ...]:
    names = [MASK_NAME]
    write_mask_nifti(folder / MASK_NAME, segmentation.mask, grid)
    if (labels := region_labels(segmentation)) is not None:
        names.append(REGIONS_NAME)
        write_map_nifti(folder / REGIONS_NAME, labels, grid)
    if probability_map:
        names.append(PROBABILITY_NAME)
        write_map_nifti(folder / PROBABILITY_NAME, segmentation.probability, grid)
    return tuple(names)
