"""What the pages for a person say about one analysis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import ResultError
from dicom_node.reading.series import FlairSeries
from dicom_node.results.outlines import Outlined
from dicom_node.results.slice_names import counted_names, slice_names
from dicom_node.results.words import flags_in_words
from segmentation.bundle import ModelIdentity
from segmentation.measures import Measures
from segmentation.regions import RegionVolumes
from segmentation.segment import Segmentation
from segmentation.volume import FlairVolume


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Content:
    """What the pages about one analysis show.

    Attributes:
        volume: intensities.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        outlined: masks (slice, row, column).
        measures: of the WMH mask.
        regions: volumes of its parts and of the ventricles; None where it is not divided.
        model: that made it, when it shall be named.
        slice_names: per slice, what the PACS calls it, such as "image 12".
        notes: sentences about the series and the analysis.

    Raises:
        ResultError: the masks do not fit the volume.
    """

    volume: FlairVolume
    affine_lps: NDArray[np.float64]
    outlined: Outlined
    measures: Measures
    regions: RegionVolumes | None
    model: ModelIdentity | None
    slice_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        if self.outlined.wmh.shape != self.volume.voxels.shape:
            raise ResultError(f"expected a mask of shape {self.volume.voxels.shape}, got {self.outlined.wmh.shape}")


def content_of_series(
    series: FlairSeries, segmentation: Segmentation, flags: Iterable[str], model: ModelIdentity | None
) -> Content:
    """What there is to say about a DICOM series.

    Raises:
        ResultError: the segmentation does not fit the series.
    """
    return _content(series.volume(), series.affine, segmentation, flags, model, slice_names(series))


def content_of_volume(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    segmentation: Segmentation,
    flags: Iterable[str],
    model: ModelIdentity | None,
) -> Content:
    """What there is to say about a volume without DICOM.

    Raises:
        ResultError: the segmentation does not fit the volume.
    """
    return _content(volume, affine_lps, segmentation, flags, model, counted_names(len(volume.voxels)))


def _content(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    segmentation: Segmentation,
    flags: Iterable[str],
    model: ModelIdentity | None,
    names: tuple[str, ...],
) -> Content:
    return Content(
        volume=volume,
        affine_lps=affine_lps,
        outlined=Outlined.of(segmentation),
        measures=segmentation.measures,
        regions=segmentation.regions,
        model=model,
        slice_names=names,
        notes=tuple(flags_in_words(flags)),
    )
