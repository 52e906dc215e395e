"""Series of every geometry with masks that are known voxel by voxel, and result sets made of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.dicom_series import small_scan, write_scan

from dicom_node.node.profiles import DeliveryOptions
from dicom_node.results.common.comparison import FollowUp
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.result_set import ResultSet, build_result_set
from dicom_node.series.read.series import FlairSeries, read_series
from segmentation.boxed import BoxedMask
from segmentation.bundle import ModelIdentity
from segmentation.interval import bounds_of
from segmentation.measures import measure
from segmentation.probability import ProbabilityMap
from segmentation.regions import RegionRule, divide
from segmentation.segment import Segmentation, StageSeconds

MODEL = ModelIdentity("se-unet-test", "0.1.0", "5b" * 32)
ANALYSED_AT = datetime(2026, 3, 29, 1, 30, 15, 250_000, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A way in which a series may lie and be written.

    Attributes:
        name: test id.
        enhanced: one Enhanced MR instance.
        odd: 47 x 41 voxels, so that frames do not end at a byte.
        tilt: degrees about the left-right axis, then about the head-feet axis.
        gap: slice thickness much below the distance of slices.
        one_slice: only one slice is left.
        empty: nothing in the mask.
        extra: header elements on every instance.
    """

    name: str
    enhanced: bool = False
    odd: bool = False
    tilt: tuple[float, float] = (0.0, 0.0)
    gap: bool = False
    one_slice: bool = False
    empty: bool = False

    def __str__(self) -> str:
        return self.name


CASES = (
    Case("axial"),
    Case("oblique", tilt=(17.0, 9.0)),
    Case("odd matrix", odd=True),
    Case("enhanced", enhanced=True),
    Case("enhanced oblique odd", enhanced=True, odd=True, tilt=(-11.0, 4.0)),
    Case("gapped", gap=True),
    Case("one slice", one_slice=True),
    Case("one slice enhanced odd", one_slice=True, enhanced=True, odd=True),
    Case("empty mask", empty=True),
    Case("empty mask enhanced", empty=True, enhanced=True),
)


def series_of(case: Case, folder: Path, **changes: object) -> FlairSeries:
    """The case as read from real DICOM files in `folder`; `changes` as for `write_scan`."""
    scan = small_scan(rows=47, columns=41) if case.odd else small_scan()
    scan = scan.tilted(case.tilt[0], axis=0).tilted(case.tilt[1], axis=2)
    if case.gap:
        changes["slice_thickness_mm"] = scan.step_mm * 0.5
    series = read_series(write_scan(scan, folder, enhanced=case.enhanced, **changes))  # type: ignore[arg-type]
    return only_slice(series, 3) if case.one_slice else series


def only_slice(series: FlairSeries, index: int) -> FlairSeries:
    """The series as if it had only this slice (reading refuses so few; results must not)."""
    affine = series.affine.copy()
    affine[:3, 3] += index * affine[:3, 2]
    frame = series.frames[index]
    return replace(
        series,
        stored=series.stored[index : index + 1],
        affine=affine,
        frames=(frame,),
        headers=tuple(header for header in series.headers if header.SOPInstanceUID == frame.sop_instance_uid),
    )


def segmentation_of(
    series: FlairSeries, *, empty: bool = False, flags: tuple[str, ...] = (), divided: RegionRule | None = None
) -> Segmentation:
    """A mask with voxels in the corners, none in the second slice, and blobs; probabilities that fit it.

    `divided` puts ventricles beside the blobs and divides the mask by this rule.
    """
    random = np.random.default_rng(11)
    probability = random.random(series.voxels.shape).astype(np.float32) ** 4
    probability[:, 10:20, 12:25] += 0.4
    probability[0, 0, 0] = probability[-1, -1, -1] = probability[-1, 0, -1] = 0.97
    probability = np.clip(probability, 0.0, 1.0)
    if len(probability) > 1:
        probability[1] = 0.1
    if empty:
        probability *= 0.4
    found = segmentation_from(series, probability, flags)
    return found if divided is None else _with_ventricles(series, found, divided)


def _with_ventricles(series: FlairSeries, found: Segmentation, rule: RegionRule) -> Segmentation:
    ventricles = np.zeros(series.voxels.shape, bool)
    ventricles[:, 11:19, 20:22] = True
    regions = divide(found.mask, ventricles, series.volume().spacing_mm, rule, bounds_of(found.mask, found.probability))
    assert regions is not None
    return replace(
        found,
        kept_ventricles=BoxedMask.of(ventricles),
        kept_periventricular=BoxedMask.of(regions.periventricular),
        regions=regions.volumes,
    )


def segmentation_from(
    series: FlairSeries, probability: NDArray[np.float32], flags: tuple[str, ...] = ()
) -> Segmentation:
    """The segmentation that these probabilities give."""
    mask = probability >= 0.5
    measures = measure(mask, probability, series.volume().voxel_volume_ml)
    return Segmentation(BoxedMask.of(mask), ProbabilityMap(probability), measures, StageSeconds(0.1, 0.2, 0.3), flags)


def result_set_of(
    series: FlairSeries,
    segmentation: Segmentation,
    *,
    model: ModelIdentity = MODEL,
    at: datetime = ANALYSED_AT,
    predecessor: ReportReference | None = None,
    all_options: Collection[DeliveryOptions] = (),
    follow_up: FollowUp | None = None,
) -> ResultSet:
    """The result set of a segmentation by `MODEL` at `ANALYSED_AT`."""
    return build_result_set(
        series, segmentation, model, "openvino", "bf16", at, threshold=0.5, predecessor=predecessor,
        all_options=all_options,
        comparison=None if follow_up is None else follow_up.against(segmentation.measures),
    )  # fmt: skip
