"""Axial slices as MR Image Storage (PS3.3 A.4) or as one Enhanced MR Image Storage instance (PS3.3 A.36).

Used by the phantom, and by tests that make DICOM of real scans; it knows a grid, not a head.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

Stored = NDArray[np.uint16] | NDArray[np.int16]

IMPLEMENTATION_CLASS_UID = "2.25.292735937063946353026402148173186412087"


def derived_uid(*parts: object) -> str:
    """A UID under 2.25 that depends on the parts alone (PS3.5 B.2: an UUID as a decimal number)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(map(str, parts))).int}"


@dataclass(frozen=True)
class SeriesDescription:
    """What the headers say, apart from the grid.

    Attributes:
        uid_root: text that every UID is derived from; equal text, equal UIDs.
        patient_name, patient_id: must be no one's.
        description, protocol: SeriesDescription and ProtocolName.
        repetition_ms, echo_ms, inversion_ms: timing; inversion None leaves InversionTime out.
        slice_thickness_mm: thickness of the measured slab; the spacing lies in the affine.
        acquired_at: date and time of study, series and content.
        rescale: (slope, intercept) per slice; empty leaves them at 1 and 0.
        extra: DICOM keyword -> value, set on every instance last.
    """

    uid_root: str
    patient_name: str
    patient_id: str
    description: str
    protocol: str
    slice_thickness_mm: float
    repetition_ms: float = 9000.0
    echo_ms: float = 105.0
    inversion_ms: float | None = 2500.0
    acquired_at: datetime = datetime(2024, 1, 1, 12, 0, 0)
    rescale: Sequence[tuple[float, float]] = ()
    extra: Mapping[str, object] = field(default_factory=dict)


def decimal_string(value: float) -> str:
    """A DS value: at most 16 characters (PS3.5 6.2), with all the digits that fit."""
    for digits in range(16, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"no DS of 16 characters for {value}")


def classic_series(stored: Stored, affine: NDArray[np.float64], about: SeriesDescription) -> list[FileDataset]:
    """One MR Image Storage instance per slice.

    Args:
        stored: uint16 or int16 (slice, row, column).
        affine: (column, row, slice index) to mm, LPS.
        about: the rest of the headers.
    """
    series = []
    for index, plane in enumerate(stored):
        header = _common(MRImageStorage, derived_uid(about.uid_root, "instance", index), about)
        _classic_acquisition(header, about)
        columns, rows = affine[:3, 0], affine[:3, 1]
        header.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        header.InstanceNumber = index + 1
        header.AcquisitionNumber = 1
        header.ImagesInAcquisition = stored.shape[0]
        header.ImagePositionPatient = [decimal_string(v) for v in affine[:3, :3] @ [0, 0, index] + affine[:3, 3]]
        header.ImageOrientationPatient = _cosines(columns, rows)
        header.PixelSpacing = [decimal_string(float(np.linalg.norm(v))) for v in (rows, columns)]
        header.SliceThickness = decimal_string(about.slice_thickness_mm)
        header.SpacingBetweenSlices = decimal_string(_slice_spacing(affine))
        header.SliceLocation = decimal_string(float(_normal(affine) @ (affine[:3, :3] @ [0, 0, index] + affine[:3, 3])))
        if about.rescale:
            header.RescaleSlope, header.RescaleIntercept = map(decimal_string, about.rescale[index])
            header.RescaleType = "US"
        header.SmallestImagePixelValue = int(plane.min())
        header.LargestImagePixelValue = int(plane.max())
        header.WindowCenter, header.WindowWidth = "4000", "8000"
        _pixels(header, plane, about)
        series.append(header)
    return series


def enhanced_instance(
    stored: Stored, affine: NDArray[np.float64], about: SeriesDescription, *, interleaved: bool = True
) -> FileDataset:
    """One Enhanced MR Image Storage instance; interleaved frames lie as acquired: 1, 3, 5, ..., 2, 4, 6."""
    count = stored.shape[0]
    order = [*range(0, count, 2), *range(1, count, 2)] if interleaved else list(range(count))
    header = _common(EnhancedMRImageStorage, derived_uid(about.uid_root, "enhanced", interleaved), about)
    header.ImageType = ["ORIGINAL", "PRIMARY", "FLUID_ATTENUATED", "NONE"]
    header.InstanceNumber = 1
    header.NumberOfFrames = count
    _enhanced_image(header, about)
    dimension = derived_uid(about.uid_root, "dimension")
    header.DimensionOrganizationSequence = DicomSequence([_item(DimensionOrganizationUID=dimension)])
    header.DimensionIndexSequence = DicomSequence(
        [
            _item(
                DimensionIndexPointer=0x00209056, FunctionalGroupPointer=0x00209111, DimensionOrganizationUID=dimension
            ),
            _item(
                DimensionIndexPointer=0x00209057, FunctionalGroupPointer=0x00209111, DimensionOrganizationUID=dimension
            ),
        ]
    )
    header.SharedFunctionalGroupsSequence = DicomSequence([_shared_groups(affine, stored.shape, about)])
    header.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_frame_groups(affine, index, number, about) for number, index in enumerate(order)]
    )
    _pixels(header, stored[order], about)
    return header


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _cosines(columns: NDArray[np.float64], rows: NDArray[np.float64]) -> list[str]:
    along_row = columns / np.linalg.norm(columns)
    along_column = rows / np.linalg.norm(rows)
    return [decimal_string(float(v)) for v in (*along_row, *along_column)]


def _normal(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    return np.asarray(normal / np.linalg.norm(normal))


def _slice_spacing(affine: NDArray[np.float64]) -> float:
    return abs(float(_normal(affine) @ affine[:3, 2]))


def _common(sop_class: str, sop_instance: str, about: SeriesDescription) -> FileDataset:
    """Patient, study, series, equipment and frame of reference."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = "WMHNODE_PHANTOM"
    header = FileDataset(f"{sop_instance}.dcm", {}, file_meta=meta, preamble=b"\0" * 128)
    day, time = about.acquired_at.strftime("%Y%m%d"), about.acquired_at.strftime("%H%M%S")
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID, header.SOPInstanceUID = sop_class, sop_instance
    header.InstanceCreationDate = header.StudyDate = header.SeriesDate = header.ContentDate = day
    header.InstanceCreationTime = header.StudyTime = header.SeriesTime = header.ContentTime = time
    header.AcquisitionDateTime = f"{day}{time}"
    header.PatientName, header.PatientID = about.patient_name, about.patient_id
    header.PatientBirthDate, header.PatientSex = "", "O"
    header.StudyInstanceUID = derived_uid(about.uid_root, "study")
    header.SeriesInstanceUID = derived_uid(about.uid_root, "series")
    header.FrameOfReferenceUID = derived_uid(about.uid_root, "frame of reference")
    header.StudyID, header.SeriesNumber = "1", 1
    header.AccessionNumber = header.ReferringPhysicianName = ""
    header.StudyDescription = "MR HEAD"
    header.SeriesDescription, header.ProtocolName = about.description, about.protocol
    header.Modality = "MR"
    header.Manufacturer, header.ManufacturerModelName = "wmh-node", "phantom"
    header.DeviceSerialNumber, header.SoftwareVersions = "0", "1"
    header.BodyPartExamined, header.PatientPosition = "BRAIN", "HFS"
    header.PositionReferenceIndicator = ""
    header.MagneticFieldStrength = decimal_string(1.5)
    return header


def _classic_acquisition(header: Dataset, about: SeriesDescription) -> None:
    """MR Image module (PS3.3 C.8.3.1)."""
    header.ScanningSequence, header.SequenceVariant = ["SE", "IR"], ["SK", "SP"]
    header.ScanOptions, header.MRAcquisitionType = "", "2D"
    header.RepetitionTime = decimal_string(about.repetition_ms)
    header.EchoTime = decimal_string(about.echo_ms)
    if about.inversion_ms is not None:
        header.InversionTime = decimal_string(about.inversion_ms)
    header.EchoTrainLength, header.EchoNumbers = 16, 1
    header.ImagingFrequency, header.ImagedNucleus = decimal_string(63.87), "1H"
    header.FlipAngle = "150"


def _enhanced_image(header: Dataset, about: SeriesDescription) -> None:
    """Enhanced MR Image and MR Pulse Sequence modules (PS3.3 C.8.13.1, C.8.13.4)."""
    header.PixelPresentation, header.VolumetricProperties = "MONOCHROME", "VOLUME"
    header.VolumeBasedCalculationTechnique, header.ComplexImageComponent = "NONE", "MAGNITUDE"
    header.AcquisitionContrast = "FLUID_ATTENUATED"
    header.ContentQualification, header.ResonantNucleus, header.KSpaceFiltering = "RESEARCH", "1H", "NONE"
    header.ApplicableSafetyStandardAgency, header.BurnedInAnnotation = "IEC", "NO"
    header.LossyImageCompression, header.PresentationLUTShape = "00", "IDENTITY"
    header.AcquisitionNumber, header.AcquisitionDuration = 1, 180.0
    header.PulseSequenceName, header.MRAcquisitionType, header.EchoPulseSequence = "tse2d_ir", "2D", "SPIN"
    header.MultipleSpinEcho, header.MultiPlanarExcitation, header.PhaseContrast = "NO", "NO", "NO"
    header.TimeOfFlightContrast, header.SteadyStatePulseSequence = "NO", "NONE"
    header.EchoPlanarPulseSequence, header.SaturationRecovery, header.SpectrallySelectedSuppression = "NO", "NO", "NONE"
    header.GeometryOfKSpaceTraversal, header.SegmentedKSpaceTraversal = "RECTILINEAR", "PARTIAL"
    header.RectilinearPhaseEncodeReordering, header.NumberOfKSpaceTrajectories = "LINEAR", 1
    header.OversamplingPhase = "NONE"
    header.AcquisitionContextSequence = DicomSequence()


def _shared_groups(affine: NDArray[np.float64], shape: tuple[int, ...], about: SeriesDescription) -> Dataset:
    """What is equal in all frames."""
    columns, rows = affine[:3, 0], affine[:3, 1]
    shared = Dataset()
    shared.PixelMeasuresSequence = DicomSequence(
        [
            _item(
                SliceThickness=decimal_string(about.slice_thickness_mm),
                SpacingBetweenSlices=decimal_string(_slice_spacing(affine)),
                PixelSpacing=[decimal_string(float(np.linalg.norm(v))) for v in (rows, columns)],
            )
        ]
    )
    shared.PlaneOrientationSequence = DicomSequence([_item(ImageOrientationPatient=_cosines(columns, rows))])
    region = _item(CodeValue="12738006", CodingSchemeDesignator="SCT", CodeMeaning="Brain")
    shared.FrameAnatomySequence = DicomSequence(
        [_item(FrameLaterality="U", AnatomicRegionSequence=DicomSequence([region]))]
    )
    shared.MRTimingAndRelatedParametersSequence = DicomSequence(
        [
            _item(
                RepetitionTime=decimal_string(about.repetition_ms),
                FlipAngle="150",
                EchoTrainLength=16,
                RFEchoTrainLength=16,
                GradientEchoTrainLength=0,
                OperatingModeSequence=DicomSequence(
                    [_item(OperatingModeType=t, OperatingMode="IEC_NORMAL") for t in ("STATIC FIELD", "RF", "GRADIENT")]
                ),
                SpecificAbsorptionRateSequence=DicomSequence(
                    [_item(SpecificAbsorptionRateDefinition="IEC_HEAD", SpecificAbsorptionRateValue=0.5)]
                ),
                GradientOutputType="DB_DT",
                GradientOutput=1.0,
            )
        ]
    )
    shared.MREchoSequence = DicomSequence([_item(EffectiveEchoTime=about.echo_ms)])
    inversion = _item(InversionRecovery="YES")
    if about.inversion_ms is not None:
        inversion.InversionTimes = [about.inversion_ms]
    modifier = _item(
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    modifier.update(inversion)
    shared.MRModifierSequence = DicomSequence([modifier])
    _shared_hardware(shared, affine, shape)
    return shared


def _shared_hardware(shared: Dataset, affine: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    """Coils, averages and field of view: macros that ORIGINAL frames must carry (PS3.3 Table A.36-2)."""
    coil = _item(
        ReceiveCoilName="HEAD", ReceiveCoilManufacturerName="", ReceiveCoilType="VOLUME", QuadratureReceiveCoil="YES"
    )
    shared.MRReceiveCoilSequence = DicomSequence([coil])
    sender = _item(TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
    shared.MRTransmitCoilSequence = DicomSequence([sender])
    shared.MRAveragesSequence = DicomSequence([_item(NumberOfAverages=1.0)])
    shared.MRImagingModifierSequence = DicomSequence(
        [
            _item(
                MagnetizationTransfer="NONE",
                BloodSignalNulling="NO",
                Tagging="NONE",
                TransmitterFrequency=63.87,
                PixelBandwidth=120.0,
            )
        ]
    )
    rows, columns = shape[-2:]
    in_plane = [float(np.linalg.norm(affine[:3, axis])) for axis in (1, 0)]
    field_of_view = _item(
        InPlanePhaseEncodingDirection="ROW",
        MRAcquisitionFrequencyEncodingSteps=rows,
        MRAcquisitionPhaseEncodingStepsInPlane=columns,
        MRAcquisitionPhaseEncodingStepsOutOfPlane=1,
        PercentSampling=100.0,
        PercentPhaseFieldOfView=decimal_string(100.0 * in_plane[1] * columns / (in_plane[0] * rows)),
    )
    shared.MRFOVGeometrySequence = DicomSequence([field_of_view])


def _frame_groups(affine: NDArray[np.float64], index: int, number: int, about: SeriesDescription) -> Dataset:
    """What differs from frame to frame; `index` is the slice, `number` the 0-based place in the instance."""
    stamp = about.acquired_at.strftime("%Y%m%d%H%M%S")
    groups = Dataset()
    groups.FrameContentSequence = DicomSequence(
        [
            _item(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=stamp,
                FrameAcquisitionDateTime=stamp,
                FrameAcquisitionDuration=180000.0,
                StackID="1",
                InStackPositionNumber=index + 1,
                DimensionIndexValues=[1, index + 1],
                TemporalPositionIndex=1,
            )
        ]
    )
    position = affine[:3, :3] @ [0, 0, index] + affine[:3, 3]
    groups.PlanePositionSequence = DicomSequence([_item(ImagePositionPatient=[decimal_string(v) for v in position])])
    slope, intercept = about.rescale[index] if about.rescale else (1.0, 0.0)
    groups.PixelValueTransformationSequence = DicomSequence(
        [_item(RescaleIntercept=decimal_string(intercept), RescaleSlope=decimal_string(slope), RescaleType="US")]
    )
    groups.MRImageFrameTypeSequence = DicomSequence(
        [
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "FLUID_ATTENUATED", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="FLUID_ATTENUATED",
            )
        ]
    )
    return groups


def _pixels(header: Dataset, values: Stored, about: SeriesDescription) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = values.shape[-2:]
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 1 if values.dtype.kind == "i" else 0
    header.PixelData = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    for keyword, value in about.extra.items():
        setattr(header, keyword, value)
