"""Result sets as files, with everything that is known about them, for the tools that read them.

Masks are known voxel by voxel and no network runs. Every set is written once a session, in every form and kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from support.data import shared_data
from support.dicom_series import Scan, scan_from_nifti, write_scan
from support.result_cases import CASES, result_set_of, segmentation_from, segmentation_of, series_of

from dicom_node.node.profiles import PROFILES, DeliveryOptions
from dicom_node.results.result_set import ResultSet, write_result_set
from dicom_node.series.read.series import FlairSeries, read_series
from segmentation.boxed import BoxedMask
from segmentation.regions import RegionRule, divide
from segmentation.segment import Segmentation

Mask = NDArray[np.bool_]

_LABELMAP = replace(PROFILES["generic"], seg_encoding="labelmap")
_OCCUPANCY = replace(PROFILES["generic"], seg_encoding="occupancy")
EVERYTHING = (
    DeliveryOptions(PROFILES["generic"], probability_map=True),
    DeliveryOptions(PROFILES["slicer"]),
    DeliveryOptions(PROFILES["legacy"]),
    DeliveryOptions(_LABELMAP),
    DeliveryOptions(_OCCUPANCY),
)
WITHOUT_PICTURES = (DeliveryOptions(PROFILES["slicer"]), DeliveryOptions(_LABELMAP), DeliveryOptions(_OCCUPANCY))


@dataclass(frozen=True)
class WrittenSet:
    """A result set on disk.

    Attributes:
        series, segmentation: what it was made from.
        result_set: its objects.
        source: files of the source series.
        folder: of its own files, each under the object's name.
    """

    series: FlairSeries
    segmentation: Segmentation
    result_set: ResultSet
    source: tuple[Path, ...]
    folder: Path

    @property
    def files(self) -> list[Path]:
        """Of the results, in sending order."""
        return [self.folder / obj.name for obj in self.result_set.objects]

    def named(self, beginning: str) -> list[Path]:
        """Those whose name begins so: every form of a kind."""
        return [file for file in self.files if file.name.startswith(beginning)]

    def masks_of(self, name: str) -> dict[int, Mask]:
        """Segment number -> mask (slice, row, column) that a segmentation's file must hold.

        A voxel that is WMH and ventricle is both in BINARY, and WMH in LABELMAP, which has one number for a voxel.
        """
        if name.startswith("seg"):
            return {1: self.segmentation.mask}
        near, ventricles = self.segmentation.periventricular, self.segmentation.ventricles
        assert near is not None
        assert ventricles is not None
        shown = ventricles & ~self.segmentation.mask if "labelmap" in name else ventricles
        return {1: near, 2: self.segmentation.mask & ~near, 3: shown}

    def volumes_ml(self, name: str) -> list[float]:
        """Volumes that a report's file must state: all WMH, periventricular, deep, ventricles."""
        voxel_ml = self.series.volume().voxel_volume_ml
        masks = [self.segmentation.mask, *self.masks_of(name.replace("sr", "regions")).values()]
        return [float(np.count_nonzero(mask)) * voxel_ml for mask in masks]


@dataclass(frozen=True)
class InteropCase:
    """A result set to make.

    Attributes:
        make: writes the source series into a folder; gives it as read, its files and its segmentation.
        pictures: whether every kind is made, summary pages and PDF included, which takes a second.
    """

    make: Callable[[Path], tuple[FlairSeries, Segmentation]]
    pictures: bool = False

    def write(self, folder: Path) -> WrittenSet:
        """Make everything, under `folder`."""
        (folder / "results").mkdir(parents=True)
        series, segmentation = self.make(folder / "source")
        result_set = result_set_of(series, segmentation, all_options=EVERYTHING if self.pictures else WITHOUT_PICTURES)
        write_result_set(result_set, folder / "results")
        source = tuple(sorted((folder / "source").iterdir()))
        return WrittenSet(series, segmentation, result_set, source, folder / "results")


def _of_case(index: int, folder: Path) -> tuple[FlairSeries, Segmentation]:
    case = CASES[index]
    series = series_of(case, folder)
    return series, segmentation_of(series, empty=case.empty, divided=RegionRule())


def _of_slices(slices: tuple[int, ...], folder: Path) -> tuple[FlairSeries, Segmentation]:
    """WMH in these slices only; negative ones from the end."""
    series = series_of(CASES[1], folder)
    probability = np.full(series.voxels.shape, 0.1, np.float32)
    for index in slices:
        probability[index, 12:19, 9:25] = 0.9
    return series, with_ventricles(series, segmentation_from(series, probability))


def _of_real_scan(scan: Scan, mask: Mask | None, enhanced: bool, folder: Path) -> tuple[FlairSeries, Segmentation]:
    """A real scan; without a reader's mask, its brightest voxels."""
    series = read_series(write_scan(scan, folder, enhanced=enhanced))
    wmh = series.voxels > np.percentile(series.voxels, 99) if mask is None else mask
    return series, with_ventricles(series, segmentation_from(series, np.where(wmh, 0.9, 0.1).astype(np.float32)))


def _labelled(folder: Path) -> tuple[FlairSeries, Segmentation]:
    """A real FLAIR with its reader's mask, planned oblique."""
    paths = [shared_data("flair-wmh", "101228", f"{name}.nii.gz") for name in ("flair", "wmh")]
    scan, wmh = map(scan_from_nifti, paths)
    return _of_real_scan(scan.tilted(14).tilted(5, axis=1), wmh.stored > 0, False, folder)


def _unlabelled(folder: Path) -> tuple[FlairSeries, Segmentation]:
    """A real FLAIR of another scanner, non-square, as Enhanced MR."""
    path = shared_data("flair-unlabelled", "openms_patient03_study1.nii.gz")
    assert len(set(nibabel.load(path).shape)) == 3
    return _of_real_scan(scan_from_nifti(path), None, True, folder)


def with_ventricles(series: FlairSeries, found: Segmentation) -> Segmentation:
    """The same with a block of ventricles in the middle of every slice, and the mask divided."""
    rows, columns = series.voxels.shape[1:]
    ventricles = np.zeros(series.voxels.shape, bool)
    ventricles[:, rows * 2 // 5 : rows // 2, columns * 2 // 5 : columns // 2] = True
    ventricles &= ~found.mask
    regions = divide(found.mask, ventricles, series.volume().spacing_mm, RegionRule())
    assert regions is not None
    return replace(
        found,
        kept_ventricles=BoxedMask.of(ventricles),
        kept_periventricular=BoxedMask.of(regions.periventricular),
        regions=regions.volumes,
    )


_PICTURED = ("axial", "enhanced", "empty mask")
SYNTHETIC: dict[str, InteropCase] = {
    **{case.name: InteropCase(partial(_of_case, index), case.name in _PICTURED) for index, case in enumerate(CASES)},
    "WMH on one slice": InteropCase(partial(_of_slices, (4,))),
    "WMH on the first and the last slice": InteropCase(partial(_of_slices, (0, -1))),
}
"""All are of a non-square, anisotropic grid: 48 x 40 voxels of 2 x 1.5 mm, 6 mm apart."""
REAL: dict[str, InteropCase] = {
    "real, oblique": InteropCase(_labelled, pictures=True),
    "real, enhanced, non-square": InteropCase(_unlabelled),
}
ALL = {**SYNTHETIC, **REAL}
NAMES = [*SYNTHETIC, *(pytest.param(name, marks=pytest.mark.shared_data) for name in REAL)]
"""For `pytest.mark.parametrize`."""
