"""Regions, other encodings and the probability map, read back by other software than wrote them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from support.result_cases import CASES, Case, result_set_of, segmentation_of, series_of

from dicom_node.node.profiles import PROFILES, DeliveryOptions, ObjectKind, SegForm
from dicom_node.results.result_set import part10_bytes
from dicom_node.results.seg.regions_seg import region_masks
from dicom_node.series.read.series import FlairSeries
from segmentation.boxed import BoxedMask
from segmentation.regions import RegionRule
from segmentation.segment import Segmentation

NONEMPTY = PROFILES["slicer"]
LABELMAP = replace(PROFILES["generic"], seg_encoding="labelmap")
SPARSE_LABELMAP = replace(PROFILES["slicer"], seg_encoding="labelmap")
OCCUPANCY = replace(PROFILES["generic"], seg_encoding="occupancy")
WISHES = (
    DeliveryOptions(NONEMPTY, probability_map=True),
    DeliveryOptions(LABELMAP),
    DeliveryOptions(SPARSE_LABELMAP),
    DeliveryOptions(OCCUPANCY),
)
FORMS = (SegForm(), *(options.profile.form for options in WISHES))
SOME = tuple(case for case in CASES if case.name in ("axial", "enhanced oblique odd", "one slice enhanced odd"))


class Made:
    """A case's result set in every form."""

    def __init__(self, case: Case, folder: Path, *, empty: bool = False) -> None:
        self.series = series_of(case, folder)
        found = segmentation_of(self.series, divided=RegionRule())
        self.segmentation = emptied(found) if empty else found
        self.objects = result_set_of(self.series, self.segmentation, all_options=WISHES).objects

    def read_back(self, kind: ObjectKind, form: SegForm = FORMS[0]) -> Dataset:
        """An object as a receiver gets it."""
        (one,) = (obj for obj in self.objects if (obj.kind, obj.form) == (kind, form))
        return pydicom.dcmread(BytesIO(part10_bytes(one.dataset)))

    def masks(self, kind: ObjectKind) -> list[NDArray[np.bool_]]:
        """What the segments of a kind must hold."""
        if kind is ObjectKind.SEG:
            return [self.segmentation.mask]
        regions = region_masks(self.segmentation)
        assert regions is not None
        return [regions.periventricular, regions.deep, regions.ventricles]


Make = Callable[..., Made]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Gives a case's result set, made once."""
    known: dict[tuple[str, bool], Made] = {}

    def made(case: Case = CASES[0], *, empty: bool = False) -> Made:
        key = case.name, empty
        if key not in known:
            known[key] = Made(case, tmp_path_factory.mktemp("series"), empty=empty)
        return known[key]

    return made


def emptied(found: Segmentation) -> Segmentation:
    """The same without WMH; the ventricles stay."""
    nothing = np.zeros_like(found.mask)
    assert found.regions is not None
    regions = replace(
        found.regions,
        periventricular_volume_ml=0.0,
        deep_volume_ml=0.0,
        periventricular_interval_ml=None,
        deep_interval_ml=None,
    )
    return replace(found, kept_mask=BoxedMask.of(nothing), kept_periventricular=BoxedMask.of(nothing), regions=regions)


def slice_of(groups: Dataset, series: FlairSeries) -> int:
    """The slice that a frame refers to."""
    keys = [(frame.sop_instance_uid, frame.frame_number) for frame in series.frames]
    (origin,) = groups.DerivationImageSequence[0].SourceImageSequence
    return keys.index((origin.ReferencedSOPInstanceUID, origin.get("ReferencedFrameNumber")))


def frames_of(seg: Dataset, shape: tuple[int, ...], series: FlairSeries) -> NDArray[np.uint8]:
    """Frames of a SEG of one segment in the order of the slices that they refer to; from pydicom's pixels."""
    found = np.zeros(shape, np.uint8)
    for groups, pixels in zip(
        seg.PerFrameFunctionalGroupsSequence, seg.pixel_array.reshape(-1, *shape[1:]), strict=True
    ):
        found[slice_of(groups, series)] = pixels
    return found


def segments_of(seg: Dataset, shape: tuple[int, ...], series: FlairSeries) -> list[NDArray[np.bool_]]:
    """Each segment as a mask, each frame put where the slice is that it refers to; from pydicom's pixels."""
    found = [np.zeros(shape, bool) for segment in seg.SegmentSequence if int(segment.SegmentNumber) > 0]
    frames = seg.pixel_array.reshape(-1, *shape[1:])
    shared = seg.SharedFunctionalGroupsSequence[0]
    for groups, pixels in zip(seg.PerFrameFunctionalGroupsSequence, frames, strict=True):
        index = slice_of(groups, series)
        if seg.SegmentationType == "LABELMAP":
            for number, mask in enumerate(found, start=1):
                mask[index] = pixels == number
        else:
            holder = groups if "SegmentIdentificationSequence" in groups else shared
            found[holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1][index] = pixels > 0
    return found


@pytest.mark.parametrize("case", SOME, ids=str)
@pytest.mark.slow
def test_every_form_holds_the_same_masks(case: Case, make: Make) -> None:
    """BINARY or LABELMAP, with empty frames or without: each segment is the identical mask, in its place."""
    made = make(case)
    for form in FORMS:
        for kind in (ObjectKind.SEG, ObjectKind.REGIONS):
            seg = made.read_back(kind, form)
            expected = made.masks(kind)
            if form.encoding == "labelmap" and kind is ObjectKind.REGIONS:
                expected[2] = expected[2] & ~made.segmentation.mask  # one label for each voxel, WMH first
            found = segments_of(seg, made.segmentation.mask.shape, made.series)
            for shown, mask in zip(found, expected, strict=True):
                np.testing.assert_array_equal(shown, mask)
            assert seg.FrameOfReferenceUID == made.series.frame_of_reference_uid


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.suffix or "first")
def test_empty_frames_are_there_or_not(form: SegForm, make: Make) -> None:
    """The first form has a frame for each slice and segment; the other ones have none without a voxel of it."""
    made = make()
    seg = made.read_back(ObjectKind.SEG, form)
    filled = int(made.segmentation.mask.any(axis=(1, 2)).sum())
    assert filled < len(made.series.frames)
    assert seg.NumberOfFrames == (len(made.series.frames) if form.empty_frames else filled)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.suffix or "first")
def test_no_wmh_keeps_every_segment(form: SegForm, make: Make) -> None:
    """Without WMH the SEG still has its frames, and the regions' SEG its three segments, of which one has voxels."""
    made = make(empty=True)
    seg, regions = made.read_back(ObjectKind.SEG, form), made.read_back(ObjectKind.REGIONS, form)
    assert seg.NumberOfFrames == len(made.series.frames)
    assert not seg.pixel_array.any()
    assert [segment.SegmentLabel for segment in regions.SegmentSequence if int(segment.SegmentNumber) > 0] == [
        "WMH periventricular",
        "WMH deep",
        "Ventricles",
    ]
    found = segments_of(regions, made.segmentation.mask.shape, made.series)
    assert [bool(shown.any()) for shown in found] == [False, False, True]


def test_regions_say_what_they_are(make: Make) -> None:
    """Codes, modifiers and colours of the three segments; the scheme of the private codes is identified."""
    seg = make().read_back(ObjectKind.REGIONS)
    near, far, inside = seg.SegmentSequence
    for segment, modifier in ((near, "WMH-PV"), (far, "WMH-DEEP")):
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "110702"
        (region,) = segment.AnatomicRegionSequence
        assert region.CodeValue == "68523003"
        assert region.AnatomicRegionModifierSequence[0].CodeValue == modifier
    assert inside.SegmentedPropertyTypeCodeSequence[0].CodeValue == "35764002"
    assert inside.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert "AnatomicRegionSequence" not in inside
    assert len({tuple(segment.RecommendedDisplayCIELabValue) for segment in seg.SegmentSequence}) == 3
    (scheme,) = seg.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99WMHNODE"
    assert "RESEARCH USE ONLY" in seg.ContentDescription


def test_what_one_segment_says_does_not_reach_another_object(make: Make) -> None:
    """A modifier of the regions is not in the SEG of the whole, whichever was built first: codes are shared."""
    made = make()
    assert not [element for element in made.read_back(ObjectKind.SEG).iterall() if "Modifier" in element.keyword]


@pytest.mark.parametrize("case", SOME, ids=str)
def test_the_probability_map_holds_the_probability(case: Case, make: Make) -> None:
    """Every voxel is the ensemble's mean probability to half a 255th, on the mask's grid; PROBABILITY, 8 bits."""
    made = make(case)
    seg = made.read_back(ObjectKind.PROBABILITY)
    assert (seg.SegmentationType, seg.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    assert (seg.MaximumFractionalValue, seg.BitsAllocated) == (255, 8)
    assert seg.NumberOfFrames == len(made.series.frames)
    pixels = frames_of(seg, made.segmentation.mask.shape, made.series)
    np.testing.assert_allclose(pixels / 255, made.segmentation.probability, atol=0.5 / 255 + 1e-6)
    assert len(seg.PixelData) % 2 == 0


def test_a_report_about_labels_measures_what_they_show(make: Make) -> None:
    """Where a voxel is WMH and ventricle, the label map shows WMH: its report gives the ventricles that it shows, and
    says so; the other reports give all."""
    made = make()
    series, segmentation = made.series, made.segmentation
    assert segmentation.ventricles is not None and segmentation.regions is not None
    shared = int((segmentation.mask & segmentation.ventricles).sum())
    assert shared > 0
    voxel_ml = series.volume().voxel_volume_ml
    whole_ml = segmentation.regions.ventricle_volume_ml
    for obj in made.objects:
        if obj.kind is not ObjectKind.SR:
            continue
        report = highdicom.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(BytesIO(part10_bytes(obj.dataset))))
        group = report.content.get_volumetric_roi_measurement_groups()[3]
        (volume,) = group.get_measurements()
        labelled = obj.form.encoding == "labelmap"
        assert volume.value == pytest.approx(whole_ml - shared * voxel_ml if labelled else whole_ml, abs=0.0051)
        said = [item.value for item in obj.dataset.iterall() if item.keyword == "TextValue"]
        assert any(f"{shared} voxels are ventricle as well" in text for text in said) == labelled
