"""The segmentation object (SEG) of one series."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as HighdicomSegmentation
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from dicom_node.reading import values
from dicom_node.reading.series import FlairSeries, SourceFrame
from dicom_node.results import codes
from dicom_node.results.equipment import software_versions
from dicom_node.results.facts import AnalysisFacts
from dicom_node.results.grid import SourceGrid, grid_of
from dicom_node.results.headers import SEG_OFFSET, finish_header, result_series_number
from dicom_node.results.identity import copy_elements
from dicom_node.version import MANUFACTURER, SOFTWARE_NAME

SEGMENT_NUMBER: Final = 1
SEGMENT_LABEL: Final = "WMH"
TRACKING_ID: Final = "WMH"
SERIES_DESCRIPTION: Final = "WMH segmentation - RESEARCH USE ONLY"
# SEG has no sequence for predecessors: the description is what a list of series in a viewer shows.
REPLACING_DESCRIPTION: Final = "WMH segmentation, replaces earlier one - RESEARCH USE ONLY"
CONTENT_DESCRIPTION: Final = "White matter hyperintensities on FLAIR - RESEARCH USE ONLY"
_LOSS: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
# The overlay's outline has the same colour.
DISPLAY_RGB: Final = (255, 145, 0)


def build_seg(series: FlairSeries, mask: NDArray[np.bool_], facts: AnalysisFacts) -> Dataset:
    """The SEG of a mask.

    BINARY, because Orthanc and many PACS refuse LABELMAP. Every slice of the FLAIR has its frame, empty or not: the
    grid is then complete for every reader, an empty mask is no special case, and a bit for each voxel costs little.

    Args:
        series: the source.
        mask: bool (slice, row, column) on the grid of `series`.
        facts: who found it, when.
    """
    grid = grid_of(series)
    seg = HighdicomSegmentation(
        source_images=_slices_for_highdicom(series, grid),
        pixel_array=mask.astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment_description(facts)],
        series_instance_uid=facts.uids.seg_series,
        series_number=result_series_number(series.headers[0], SEG_OFFSET),
        sop_instance_uid=facts.uids.seg_instance,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=SOFTWARE_NAME,
        software_versions=software_versions(facts.model),
        device_serial_number=facts.model.digest,
        content_label="WMH",
        content_description=CONTENT_DESCRIPTION,
        content_creator_name=f"{SOFTWARE_NAME}^",
        series_description=SERIES_DESCRIPTION if facts.predecessor is None else REPLACING_DESCRIPTION,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        pixel_measures=grid.pixel_measures(),
        plane_orientation=grid.plane_orientation(),
        plane_positions=grid.plane_positions(),
        omit_empty_frames=False,
    )
    result = Dataset()
    result.update(seg)
    _refer_to_source(result, series)
    _settle(result, facts)
    finish_header(result, series.headers[0], facts.model, facts.stamp)
    return result


def _slices_for_highdicom(series: FlairSeries, grid: SourceGrid) -> list[Dataset]:
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
        bare.Rows, bare.Columns = series.voxels.shape[1:]
        bare.PixelSpacing = list(grid.pixel_spacing_mm)
        bare.SliceThickness = grid.slice_thickness_mm
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


def _segment_description(facts: AnalysisFacts) -> SegmentDescription:
    model = facts.model
    algorithm = AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=model.version,
        source=MANUFACTURER,
        parameters=facts.parameters,
    )
    return SegmentDescription(
        segment_number=SEGMENT_NUMBER,
        segment_label=SEGMENT_LABEL,
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL,
        segmented_property_type=codes.WHITE_MATTER_HYPERINTENSITY,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=facts.uids.wmh_tracking,
        tracking_id=TRACKING_ID,
        anatomic_regions=[codes.CEREBRAL_WHITE_MATTER],
        display_color=CIELabColor.from_rgb(*DISPLAY_RGB),
    )


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


def _settle(seg: Dataset, facts: AnalysisFacts) -> None:
    """Replace what highdicom draws at random, and pad pixels with a null byte as PS3.5 8.1.1 wants (it writes "0")."""
    organization = facts.uids.dimension_organization
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    used = math.ceil(seg.NumberOfFrames * seg.Rows * seg.Columns / 8)
    seg.PixelData = seg.PixelData[:used] + b"\x00" * (used % 2)
