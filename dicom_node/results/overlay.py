"""overlay.png: the slices with the WMH outlined, and the numbers, for a person. It shows no name and no ID."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import ResultError
from dicom_node.files import write_whole
from dicom_node.reading.series import FlairSeries
from dicom_node.results.outlines import Outlined
from dicom_node.results.page import Page, draw_page
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation
from segmentation.volume import FlairVolume

_COMPRESSION: Final = 3  # of 9: more takes more than twice the time and saves little


def write_overlay(
    series: FlairSeries, segmentation: Segmentation, path: Path, model: ModelIdentity | None = None
) -> None:
    """Write overlay.png for a DICOM series, whole or not at all.

    Args:
        series: what was segmented.
        segmentation: what was found.
        path: where to write; its folder must exist.
        model: named in the picture when given.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    write_volume_overlay(series.volume(), series.affine, segmentation, path, model, series.flags)


def write_volume_overlay(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    segmentation: Segmentation,
    path: Path,
    model: ModelIdentity | None = None,
    flags: tuple[str, ...] = (),
) -> None:
    """Write overlay.png for a volume without DICOM.

    Args:
        volume: what was segmented.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        segmentation: what was found.
        path: where to write; its folder must exist.
        model: named in the picture when given.
        flags: of reading, beside the segmentation's own.

    Raises:
        ResultError: the segmentation does not fit the volume.
    """
    if segmentation.mask.shape != volume.voxels.shape:
        raise ResultError(f"expected a mask of shape {volume.voxels.shape}, got {segmentation.mask.shape}")
    page = Page(
        volume=volume,
        affine_lps=affine_lps,
        outlined=Outlined(segmentation.mask, segmentation.periventricular, segmentation.ventricles),
        measures=segmentation.measures,
        regions=segmentation.regions,
        model=model,
        flags=tuple(sorted({*flags, *segmentation.flags})),
    )
    stream = BytesIO()
    draw_page(page).save(stream, format="PNG", compress_level=_COMPRESSION)
    write_whole(path, stream.getvalue())
