"""Analysis of a NIfTI file: a mask on its own grid in place of SEG and SR."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from dicom_node.analyse.analysis import MEASUREMENTS_NAME, OVERLAY_NAME
from dicom_node.node.errors import UnreadableObject
from dicom_node.node.files import json_bytes, write_whole
from dicom_node.node.progress import StageProgress
from dicom_node.results.measurements import measurements_json
from dicom_node.results.pages.overlay import write_volume_overlay
from dicom_node.series.read.head import require_head
from dicom_node.series.read.scan import require_scan
from segmentation.ensemble import Ensemble
from segmentation.errors import BadVolume
from segmentation.nifti import read_flair_nifti, write_mask_nifti
from segmentation.regions import PUBLISHED_RULE, RegionRule
from segmentation.segment import segment_volume

MASK_NAME = "wmh.nii.gz"


def segment_nifti(
    path: Path,
    ensemble: Ensemble,
    folder: Path,
    progress: StageProgress,
    region_rule: RegionRule = PUBLISHED_RULE,
) -> dict[str, Any]:
    """Segment one file; writes wmh.nii.gz, measurements.json and overlay.png, and returns the measurements.

    Raises:
        UnreadableObject: the file is no FLAIR volume in NIfTI.
        NotFlair: it shows a mask, a label map or noise.
    """
    progress("read", 0, 1)
    started = time.monotonic()
    try:
        volume, grid = read_flair_nifti(path)
        seconds_read = time.monotonic() - started
        require_scan(volume.voxels)
        require_head(volume.voxels, volume.spacing_mm)
        progress("read", 1, 1)
        segmentation = segment_volume(volume, ensemble, progress, region_rule)
    except BadVolume as error:
        raise UnreadableObject("bad_nifti", f"The NIfTI file cannot be analysed: {error}") from error
    progress("write", 0, 1)
    started = time.monotonic()
    write_mask_nifti(folder / MASK_NAME, segmentation.mask, grid)
    write_volume_overlay(
        volume, grid.axial_affine_lps, segmentation, folder / OVERLAY_NAME, ensemble.identity, grid.flags
    )
    measurements = measurements_json(
        None, segmentation, ensemble.identity, seconds_read, seconds_write=time.monotonic() - started, flags=grid.flags
    )
    write_whole(folder / MEASUREMENTS_NAME, json_bytes(measurements))
    progress("write", 1, 1)
    return measurements
