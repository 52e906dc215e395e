"""The second SEG of one series: WMH by region, and the ventricles that define the regions.

A separate series, not more segments of the first SEG: a viewer that shows only the first segment, or adds all up, is
right about the whole WMH (docs/adr/0008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegForm
from dicom_node.results.common import codes
from dicom_node.results.common.colours import DEEP_RGB, PERIVENTRICULAR_RGB, VENTRICLES_RGB
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.seg.seg_object import SegContent, Segment, build_masks
from dicom_node.series.read.series import FlairSeries
from segmentation.boxed import BoxedMask
from segmentation.segment import Segmentation

CONTENT_DESCRIPTION: Final = "WMH by region, and ventricles - RESEARCH USE ONLY"


@dataclass(frozen=True)
class Region:
    """A region as SEG and SR both name it.

    Attributes:
        number: of its segment in the SEG.
        name: SegmentLabel and Tracking ID.
        kind: slug of its Tracking UID.
        category, finding: what it is.
        site: where it lies; None for a structure that is a place itself.
        modifier: which part of the site.
    """

    number: int
    name: str
    kind: str
    category: CodedConcept
    finding: CodedConcept
    site: CodedConcept | None = None
    modifier: codes.PrivateCode | None = None

    def parameters(self, facts: AnalysisFacts) -> dict[str, str]:
        """Of the algorithm that found it."""
        return facts.parameters if self.finding is codes.WHITE_MATTER_HYPERINTENSITY else facts.ventricle_parameters


PERIVENTRICULAR: Final = Region(
    1,
    "WMH periventricular",
    "wmh-periventricular-tracking",
    codes.MORPHOLOGICALLY_ABNORMAL,
    codes.WHITE_MATTER_HYPERINTENSITY,
    codes.CEREBRAL_WHITE_MATTER,
    codes.PERIVENTRICULAR,
)
DEEP: Final = Region(
    2,
    "WMH deep",
    "wmh-deep-tracking",
    codes.MORPHOLOGICALLY_ABNORMAL,
    codes.WHITE_MATTER_HYPERINTENSITY,
    codes.CEREBRAL_WHITE_MATTER,
    codes.DEEP,
)
VENTRICLES: Final = Region(3, "Ventricles", "ventricles-tracking", codes.ANATOMICAL_STRUCTURE, codes.BRAIN_VENTRICLE)
_COLOURS: Final = (PERIVENTRICULAR_RGB, DEEP_RGB, VENTRICLES_RGB)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class RegionMasks:
    """The regions voxel by voxel, in the order of their segments."""

    periventricular: BoxedMask
    deep: BoxedMask
    ventricles: BoxedMask

    @property
    def shared_voxels(self) -> int:
        """How many voxels are WMH and ventricle: the two networks do not know each other's masks."""
        slices = zip(self.periventricular, self.deep, self.ventricles, strict=True)
        return sum(int(np.count_nonzero((near | deep) & ventricle)) for near, deep, ventricle in slices)


def region_masks(segmentation: Segmentation) -> RegionMasks | None:
    """The regions of a segmentation; None where it has none."""
    near, ventricles = segmentation.kept_periventricular, segmentation.kept_ventricles
    if segmentation.regions is None or near is None or ventricles is None:
        return None
    return RegionMasks(near, segmentation.kept_mask.without(near), ventricles)


def build_regions(series: FlairSeries, masks: RegionMasks, facts: AnalysisFacts, form: SegForm = FIRST_FORM) -> Dataset:
    """The SEG of the regions.

    Args:
        series: the source.
        masks: on the grid of `series`.
        facts: who found it, when.
        form: how it is written; LABELMAP shows a voxel that is WMH and ventricle as WMH.
    """
    segments = tuple(
        Segment(
            label=region.name,
            tracking_id=region.name,
            tracking_uid=facts.uids.of(region.kind),
            category=region.category,
            property_type=region.finding,
            colour=colour,
            parameters=region.parameters(facts),
            region=region.site,
            region_modifier=region.modifier,
        )
        for region, colour in zip((PERIVENTRICULAR, DEEP, VENTRICLES), _COLOURS, strict=True)
    )
    content = SegContent(ObjectKind.REGIONS, "WMH_REGIONS", CONTENT_DESCRIPTION, segments)
    return build_masks(series, content, [masks.periventricular, masks.deep, masks.ventricles], facts, form)
