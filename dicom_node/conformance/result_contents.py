"""What is in the segmentation and in the report: tables for the statement, which a test compares with built objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dicom_node.node.profiles import ObjectKind
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME


class Source(StrEnum):
    """Where a value comes from, in the words of PS3.2."""

    COPIED = "copied from the source images"
    GENERATED = "generated"
    FIXED = "always the same"


@dataclass(frozen=True)
class Attribute:
    """An attribute on the root of an object.

    Attributes:
        keyword: of PS3.6.
        value: for `FIXED` the value as text, several joined by a backslash; else what it is.
    """

    keyword: str
    source: Source
    value: str = ""


def _copied(*keywords: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(keyword, Source.COPIED, "as there; left out where it is not there") for keyword in keywords)


def _fixed(**values: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(keyword, Source.FIXED, value) for keyword, value in values.items())


def _generated(**words: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(keyword, Source.GENERATED, value) for keyword, value in words.items())


_COMMON: Final = (
    *_copied(
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
        "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
    ),
    *_fixed(
        SpecificCharacterSet="ISO_IR 192",
        Manufacturer=MANUFACTURER,
        ManufacturerModelName=SOFTWARE_NAME,
    ),
    *_generated(
        InstanceCreationDate="day of the analysis, local time of the scanner",
        InstanceCreationTime="time of the analysis",
        SOPClassUID="the class of the object",
        SOPInstanceUID="derived (UUIDv5 under 2.25): the same series and model give the same UID",
        SeriesInstanceUID="derived in the same way",
        SeriesDate="day of the analysis",
        SeriesTime="time of the analysis",
        ContentDate="day of the analysis",
        ContentTime="time of the analysis",
        SeriesDescription="what it is, with RESEARCH USE ONLY",
        SeriesNumber="made from the source's, so that it stands behind it",
        InstanceNumber="1",
        DeviceSerialNumber="digest of the model, shortened",
        DeviceUID="derived from the digest of the model",
        SoftwareVersions="version of wmh-node, name and version of the model",
        ContributingEquipmentSequence="wmh-node with its model; the scanner",
    ),
)  # fmt: skip

CONTENTS: Final[Mapping[ObjectKind, tuple[Attribute, ...]]] = {
    ObjectKind.SEG: (
        *_COMMON,
        *_copied("FrameOfReferenceUID", "PositionReferenceIndicator", "Rows", "Columns"),
        *_fixed(
            Modality="SEG",
            ImageType="DERIVED\\PRIMARY",
            SamplesPerPixel="1",
            PhotometricInterpretation="MONOCHROME2",
            BitsAllocated="1",
            BitsStored="1",
            HighBit="0",
            PixelRepresentation="0",
            LossyImageCompression="00",
            SegmentationType="BINARY",
            SegmentsOverlap="NO",
            ContentLabel="WMH",
            DimensionOrganizationType="3D",
            PresentationLUTShape="IDENTITY",
        ),
        *_generated(
            ReferencedSeriesSequence="the source series and its instances",
            SourceImageSequence="the source images",
            DimensionOrganizationSequence="one organization",
            DimensionIndexSequence="segment number, image position",
            NumberOfFrames="one for each slice of the source",
            SegmentSequence="one segment, SegmentAlgorithmType AUTOMATIC, with tracking ID and UID of the report",
            ContentDescription="what it shows, with RESEARCH USE ONLY",
            ContentCreatorName="wmh-node",
            SharedFunctionalGroupsSequence="orientation, spacing, segment",
            PerFrameFunctionalGroupsSequence="position, source image with spatial locations preserved",
            PixelData="one bit for each voxel of the source",
        ),
    ),
    ObjectKind.SR: (
        *_COMMON,
        *_fixed(
            Modality="SR",
            ValueType="CONTAINER",
            ContinuityOfContent="CONTINUOUS",
            VerificationFlag="UNVERIFIED",
            PreliminaryFlag="PRELIMINARY",
        ),
        *_generated(
            CodingSchemeIdentificationSequence="99WMHNODE and the standard schemes",
            ReferencedPerformedProcedureStepSequence="empty",
            ConceptNameCodeSequence="126000, DCM, Imaging Measurement Report",
            PerformedProcedureCodeSequence="empty",
            CurrentRequestedProcedureEvidenceSequence="the source series, the segmentations and the pages",
            CompletionFlag="COMPLETE, or PARTIAL where the series may not hold the whole brain",
            ContentTemplateSequence="TID 1500, DCMR",
            ContentSequence="see the next table",
        ),
    ),
}
OPTIONAL: Final = frozenset({"CompletionFlagDescription", "PredecessorDocumentsSequence", "BodyPartExamined"})
"""Attributes that some objects have: why a report is partial, the earlier report."""

# (value type, code value, scheme, meaning, unit): every concept of a report without comparison.
REPORT_CONCEPTS: Final = (
    ("CONTAINER", "126000", "DCM", "Imaging Measurement Report", ""),
    ("CODE", "121049", "DCM", "Language of Content Item and Descendants", ""),
    ("CODE", "121005", "DCM", "Observer Type", ""),
    ("UIDREF", "121012", "DCM", "Device Observer UID", ""),
    ("TEXT", "121013", "DCM", "Device Observer Name", ""),
    ("TEXT", "121014", "DCM", "Device Observer Manufacturer", ""),
    ("TEXT", "121015", "DCM", "Device Observer Model Name", ""),
    ("TEXT", "121016", "DCM", "Device Observer Serial Number", ""),
    ("CODE", "121058", "DCM", "Procedure reported", ""),
    ("TEXT", "121111", "DCM", "Summary", ""),
    ("CONTAINER", "111028", "DCM", "Image Library", ""),
    ("CONTAINER", "126200", "DCM", "Image Library Group", ""),
    ("CODE", "121139", "DCM", "Modality", ""),
    ("CODE", "123014", "DCM", "Target Region", ""),
    ("UIDREF", "112227", "DCM", "Frame of Reference UID", ""),
    ("NUM", "110910", "DCM", "Pixel Data Rows", "{pixels}"),
    ("NUM", "110911", "DCM", "Pixel Data Columns", "{pixels}"),
    ("NUM", "111026", "DCM", "Horizontal Pixel Spacing", "mm"),
    ("NUM", "111066", "DCM", "Vertical Pixel Spacing", "mm"),
    ("NUM", "112226", "DCM", "Spacing between slices", "mm"),
    ("NUM", "112225", "DCM", "Slice Thickness", "mm"),
    ("IMAGE", "260753009", "SCT", "Source", ""),
    ("CONTAINER", "126010", "DCM", "Imaging Measurements", ""),
    ("CONTAINER", "125007", "DCM", "Measurement Group", ""),
    ("TEXT", "112039", "DCM", "Tracking Identifier", ""),
    ("UIDREF", "112040", "DCM", "Tracking Unique Identifier", ""),
    ("CODE", "276214006", "SCT", "Finding category", ""),
    ("CODE", "121071", "DCM", "Finding", ""),
    ("CODE", "363698007", "SCT", "Finding Site", ""),
    ("CODE", "106233006", "SCT", "Topographical modifier", ""),
    ("TEXT", "111001", "DCM", "Algorithm Name", ""),
    ("TEXT", "111003", "DCM", "Algorithm Version", ""),
    ("TEXT", "122405", "DCM", "Algorithm Manufacturer", ""),
    ("TEXT", "111002", "DCM", "Algorithm Parameters", ""),
    ("CODE", "111000", "DCM", "Algorithm Family", ""),
    ("NUM", "118565006", "SCT", "Volume", "mL"),
    ("NUM", "371886008", "SCT", "+, range of upper measurement uncertainty", "mL"),
    ("NUM", "371885007", "SCT", "-, range of lower measurement uncertainty", "mL"),
    ("NUM", "246206008", "SCT", "Number of lesions", "{lesions}"),
    ("NUM", "WMH-UI", "99WMHNODE", "Uncertainty index", "1"),
    ("CODE", "WMH-REVIEW", "99WMHNODE", "Review of the segmentation recommended", ""),
    ("IMAGE", "121191", "DCM", "Referenced Segment", ""),
    ("IMAGE", "121080", "DCM", "Best illustration of finding", ""),
    ("UIDREF", "121232", "DCM", "Source Series for Segmentation", ""),
    ("TEXT", "121106", "DCM", "Comment", ""),
)
