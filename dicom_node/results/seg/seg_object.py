"""A segmentation object (SEG) of whatever segments, on the source's own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    SegmentationFractionalTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.seg import Segmentation as HighdicomSegmentation
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegEncoding, SegForm
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME
from dicom_node.results.common import codes
from dicom_node.results.common.colours import Colour
from dicom_node.results.common.equipment import software_versions
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.grid import SourceGrid, grid_of
from dicom_node.results.common.headers import finish_header
from dicom_node.results.common.identity import copy_elements
from dicom_node.results.common.series_names import series_description, series_number
from dicom_node.series.dicom import values
from dicom_node.series.read.series import FlairSeries, SourceFrame
from segmentation.boxed import BoxedMask
from segmentation.probability import ProbabilityMap

_LOSS: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_FULL: Final = 255  # MaximumFractionalValue
_TYPES: Final[Mapping[SegEncoding, SegmentationTypeValues]] = {
    "binary": SegmentationTypeValues.BINARY,
    "labelmap": SegmentationTypeValues.LABELMAP,
    "occupancy": SegmentationTypeValues.FRACTIONAL,
}


@dataclass(frozen=True)
class Segment:
    """One segment, as SEG describes it (PS3.3 C.8.20.4).

    Attributes:
        label: SegmentLabel.
        tracking_id, tracking_uid: shared with the report's group.
        category, property_type: what it is.
        region: AnatomicRegionSequence; None for what is a structure itself.
        region_modifier: which part of the region.
        parameters: of the algorithm that found it, by name.
        colour: RecommendedDisplayCIELabValue, given as RGB.
    """

    label: str
    tracking_id: str
    tracking_uid: str
    category: CodedConcept
    property_type: CodedConcept
    colour: Colour
    parameters: Mapping[str, str]
    region: CodedConcept | None = None
    region_modifier: codes.PrivateCode | None = None


@dataclass(frozen=True)
class SegContent:
    """What a SEG is about.

    Attributes:
        kind: which object of the result set.
        label: ContentLabel (CS).
        description: ContentDescription (LO).
        segments: in the order of their numbers, from 1.
    """

    kind: ObjectKind
    label: str
    description: str
    segments: tuple[Segment, ...]


def build_masks(
    series: FlairSeries,
    content: SegContent,
    masks: Sequence[BoxedMask],
    facts: AnalysisFacts,
    form: SegForm = FIRST_FORM,
) -> Dataset:
    """A BINARY or LABELMAP SEG, or one of OCCUPANCY whose voxels are wholly in or out.

    Args:
        series: the source.
        content: its segments.
        masks: one for each segment, on the grid of `series`. Where two overlap, LABELMAP shows the earlier segment.
        facts: who found it, when.
        form: how it is written. Without a single voxel every slice has its frame, for a SEG has at least one.
    """
    voxels = _Masks(masks, form.encoding)
    empty_frames = form.empty_frames or not any(mask.any() for mask in masks)
    return _build(series, content, voxels, _TYPES[form.encoding], facts, form, empty_frames)


def build_fractional(
    series: FlairSeries, content: SegContent, probability: ProbabilityMap, facts: AnalysisFacts
) -> Dataset:
    """A FRACTIONAL SEG of one segment: SegmentationFractionalType PROBABILITY in 8 bits, 255 for 1.

    Args:
        series: the source.
        content: its one segment.
        probability: on the grid of `series`.
        facts: who found it, when.
    """
    kind = SegmentationFractionalTypeValues.PROBABILITY
    voxels = _Probabilities(probability)
    return _build(series, content, voxels, SegmentationTypeValues.FRACTIONAL, facts, FIRST_FORM, True, kind)


class _Voxels(Protocol):
    """What a SEG shows, frame by frame: its pixels are never held at once."""

    def shown(self) -> NDArray[Any]:
        """What `highdicom` is given in place of the voxels, (slice, row, 1) or (slice, row, 1, segment): which
        segments a slice holds, and whether they overlap."""

    def frame(self, index: int, segment: int) -> NDArray[np.uint8]:
        """The pixel values of a slice and segment (0 in a LABELMAP), (row, column)."""


@dataclass(frozen=True, eq=False)
class _Masks:
    masks: Sequence[BoxedMask]
    encoding: SegEncoding

    def shown(self) -> NDArray[np.uint8]:
        slices, count = len(self.masks[0]), len(self.masks)
        if self.encoding == "labelmap" or count == 1:  # a row for each segment
            numbers = np.arange(1, count + 1, dtype=np.uint8)
            held = [np.where(np.isin(numbers, self._labels(index)), numbers, 0) for index in range(slices)]
            return np.stack(held)[..., np.newaxis]
        shown = np.zeros((slices, count + 1, 1, count), np.uint8)  # and one in which they overlap
        for index in range(slices):
            planes = [mask[index] for mask in self.masks]
            crowded = sum(plane.view(np.uint8) for plane in planes) > 1
            for number, plane in enumerate(planes):
                shown[index, number, 0, number] = plane.any()
                shown[index, count, 0, number] = (plane & crowded).any()
        return shown

    def frame(self, index: int, segment: int) -> NDArray[np.uint8]:
        if self.encoding == "labelmap":
            return self._labels(index)
        mask = self.masks[segment - 1][index].view(np.uint8)
        return np.asarray(mask * np.uint8(_FULL), np.uint8) if self.encoding == "occupancy" else mask

    def _labels(self, index: int) -> NDArray[np.uint8]:
        """Segment numbers of a slice, 0 for none; the first of two masks that overlap."""
        labels = np.zeros(self.masks[0].shape[1:], np.uint8)
        for number, mask in reversed(list(enumerate(self.masks, start=1))):
            labels[mask[index]] = number
        return labels


@dataclass(frozen=True, eq=False)
class _Probabilities:
    probability: ProbabilityMap

    def shown(self) -> NDArray[np.float32]:
        return np.zeros((len(self.probability), 1, 1), np.float32)

    def frame(self, index: int, segment: int) -> NDArray[np.uint8]:
        return np.around(self.probability.inside(index) * float(_FULL)).astype(np.uint8)


def _build(
    series: FlairSeries,
    content: SegContent,
    voxels: _Voxels,
    encoding: SegmentationTypeValues,
    facts: AnalysisFacts,
    form: SegForm,
    empty_frames: bool,
    fractional: SegmentationFractionalTypeValues = SegmentationFractionalTypeValues.OCCUPANCY,
) -> Dataset:
    grid, source = grid_of(series), series.headers[0]
    shown = voxels.shown()
    seg = HighdicomSegmentation(
        source_images=_slices_for_highdicom(series, grid, shown.shape[1:3]),
        pixel_array=shown,
        segmentation_type=encoding,
        fractional_type=fractional,
        max_fractional_value=_FULL,
        segment_descriptions=[
            _describe(segment, number, facts) for number, segment in enumerate(content.segments, start=1)
        ],
        series_instance_uid=facts.uids.series_of(content.kind, form),
        series_number=series_number(content.kind, source, form),
        sop_instance_uid=facts.uids.instance_of(content.kind, form),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=SOFTWARE_NAME,
        software_versions=software_versions(facts.model),
        device_serial_number=facts.model.digest,
        content_label=content.label,
        content_description=content.description,
        content_creator_name=f"{SOFTWARE_NAME}^",
        series_description=series_description(content.kind, facts),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        pixel_measures=grid.pixel_measures(),
        plane_orientation=grid.plane_orientation(),
        plane_positions=grid.plane_positions(),
        omit_empty_frames=not empty_frames,
    )
    result = Dataset()
    result.update(seg)
    _set_pixels(result, voxels, series.shape[1:])
    _refer_to_source(result, series)
    _settle(result, facts.uids.organization_of(content.kind, form))
    finish_header(result, source, facts.model, facts.stamp)
    if any(segment.region_modifier for segment in content.segments):
        result.CodingSchemeIdentificationSequence = [codes.private_coding_scheme()]
    return result


def _slices_for_highdicom(series: FlairSeries, grid: SourceGrid, size: tuple[int, ...]) -> list[Dataset]:
    """One bare classic MR instance per slice, in place of headers that may be Enhanced, dirty or only partly used.

    The references that highdicom makes to them are replaced afterwards; each SOPInstanceUID is the slice's index.
    """
    slices = []
    for index, position in enumerate(grid.positions):
        bare = Dataset()
        bare.SOPClassUID, bare.SOPInstanceUID = MRImageStorage, str(index)
        bare.StudyInstanceUID, bare.SeriesInstanceUID = series.study_instance_uid, series.series_instance_uid
        bare.FrameOfReferenceUID, bare.PositionReferenceIndicator = series.frame_of_reference_uid, ""
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
            setattr(bare, keyword, "")
        bare.StudyDate = bare.StudyTime = None
        bare.Modality = "MR"
        bare.Rows, bare.Columns = size
        bare.PixelSpacing = list(grid.pixel_spacing_mm)
        bare.SliceThickness = grid.slice_thickness_mm
        # highdicom prefers these to `pixel_measures` where PixelSpacing is the same, and makes up what is not here.
        bare.SpacingBetweenSlices = grid.slice_spacing_mm
        bare.ImagePositionPatient = list(position)
        bare.ImageOrientationPatient = list(grid.orientation)
        slices.append(bare)
    _pass_on_loss(series, slices[0])
    return slices


def _pass_on_loss(series: FlairSeries, first: Dataset) -> None:
    """Results of lossy images must say so (PS3.3 C.7.6.1.1.5); highdicom looks at the first source image."""
    for header in series.headers:
        if values.text(header, "LossyImageCompression") == "01":
            copy_elements(header, first, _LOSS)
            return


def _describe(segment: Segment, number: int, facts: AnalysisFacts) -> SegmentDescription:
    model = facts.model
    algorithm = AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=model.version,
        source=MANUFACTURER,
        parameters=dict(segment.parameters),
    )
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=segment.category,
        segmented_property_type=segment.property_type,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
        # A copy: what is added to it below would else be in every object that uses the code.
        anatomic_regions=None if segment.region is None else [deepcopy(segment.region)],
        display_color=CIELabColor.from_rgb(*segment.colour),
    )
    if segment.region_modifier is not None:
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [segment.region_modifier.concept]
    return described


def _refer_to_source(seg: Dataset, series: FlairSeries) -> None:
    """Let the object refer to the source's instances, and each frame to its slice (PS3.3 C.7.6.16.2.6)."""
    for groups in seg.PerFrameFunctionalGroupsSequence:
        placeholder = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        derivation = Dataset()
        derivation.DerivationCodeSequence = [codes.SEGMENTATION]
        derivation.SourceImageSequence = [_source_image(series.frames[int(placeholder)])]
        groups.DerivationImageSequence = [derivation]
    instances = [_reference(str(h.SOPClassUID), str(h.SOPInstanceUID)) for h in series.headers]
    seg.SourceImageSequence = instances  # General Reference (PS3.3 C.12.4)
    referenced = Dataset()
    referenced.SeriesInstanceUID = series.series_instance_uid
    referenced.ReferencedInstanceSequence = [
        _reference(str(h.SOPClassUID), str(h.SOPInstanceUID)) for h in series.headers
    ]
    seg.ReferencedSeriesSequence = [referenced]  # Common Instance Reference (PS3.3 C.12.2)


def _source_image(frame: SourceFrame) -> Dataset:
    source = _reference(frame.sop_class_uid, frame.sop_instance_uid)
    if frame.frame_number is not None:
        source.ReferencedFrameNumber = frame.frame_number
    source.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE]
    source.SpatialLocationsPreserved = "YES"
    return source


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def _set_pixels(seg: Dataset, voxels: _Voxels, size: tuple[int, ...]) -> None:
    """The frames in full size, in the order that the functional groups state: bits without gaps (PS3.5 8.1.1), or a
    byte for each voxel; a null byte makes the length even. `highdicom` was given none of them: it would hold several
    times the volume."""
    seg.Rows, seg.Columns = size
    content, rest = bytearray(), np.empty(0, np.uint8)
    for groups in seg.PerFrameFunctionalGroupsSequence:
        index = int(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        named = groups.get("SegmentIdentificationSequence") or seg.SharedFunctionalGroupsSequence[0].get(
            "SegmentIdentificationSequence"
        )
        frame = voxels.frame(index, int(named[0].ReferencedSegmentNumber) if named else 0).ravel()
        if seg.BitsAllocated > 1:
            content += frame.tobytes()
            continue
        bits = np.concatenate([rest, frame])
        whole = len(bits) - len(bits) % 8
        content += np.packbits(bits[:whole], bitorder="little").tobytes()
        rest = bits[whole:]
    content += np.packbits(rest, bitorder="little").tobytes()
    seg.PixelData = bytes(content) + b"\x00" * (len(content) % 2)


def _settle(seg: Dataset, organization_uid: str) -> None:
    """Replace what highdicom draws at random."""
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization_uid
