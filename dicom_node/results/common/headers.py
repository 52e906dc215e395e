"""What SEG and SR have in common in their headers, set after highdicom has built them.

highdicom stamps the present time and random UIDs into what it builds; the same series must give the same bytes every
time, so that everything of that kind is replaced here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_node.node.dicom_uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.results.common import codes
from dicom_node.results.common.equipment import contributing_equipment, general_equipment
from dicom_node.results.common.identity import identity_of
from dicom_node.results.common.stamp import Stamp
from dicom_node.series.dicom import values
from segmentation.bundle import ModelIdentity

SUMMARY_OFFSET: Final = 900  # pictures come first behind their source: a radiologist looks at them first
SEG_OFFSET: Final = 901
SR_OFFSET: Final = 902
REGIONS_OFFSET: Final = 903
PRESENTATION_OFFSET: Final = 904
PDF_OFFSET: Final = 905
PROBABILITY_OFFSET: Final = 906
_LARGEST_SOURCE_NUMBER: Final = 2_000_000  # a thousand of it still fits IS (PS3.5 6.2: below 2^31)


def result_series_number(source: Dataset, offset: int) -> int:
    """SeriesNumber of a result: source 5 gives 5901 (SEG) and 5902 (SR), so that results sort behind their source."""
    number = values.whole(source, "SeriesNumber")
    if number is None or not 0 < number <= _LARGEST_SOURCE_NUMBER:
        return 9000 + offset
    return 1000 * number + offset


def finish_header(result: Dataset, source: Dataset, model: ModelIdentity, stamp: Stamp) -> None:
    """Give a result its identity, its equipment and the time of its analysis, in place."""
    result.pop("SpecificCharacterSet", None)
    result.update(identity_of(source))
    result.update(general_equipment(model))
    result.ContributingEquipmentSequence = contributing_equipment(model, source, stamp)
    for moment in ("InstanceCreation", "Series", "Content"):
        setattr(result, f"{moment}Date", stamp.date)
        setattr(result, f"{moment}Time", stamp.time)
    if stamp.offset:
        result.TimezoneOffsetFromUTC = stamp.offset
    result.file_meta = file_meta_of(result)


def file_meta_of(result: Dataset) -> FileMetaDataset:
    """File meta information (PS3.10 7.1) under our own implementation name: the writer is ours, whatever built it."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = result.SOPClassUID
    meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def reference_to(instance: Dataset) -> Dataset:
    """An item that names one instance (PS3.3 10.8, SOP Instance Reference macro)."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = str(instance.SOPClassUID)
    reference.ReferencedSOPInstanceUID = str(instance.SOPInstanceUID)
    return reference


def source_images(headers: Sequence[Dataset]) -> list[Dataset]:
    """Items of SourceImageSequence (0008,2112) for instances that a picture was derived from (PS3.3 C.12.4.1.2)."""
    sources = []
    for header in headers:
        source = reference_to(header)
        source.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE]
        sources.append(source)
    return sources


def referenced_series(series_instance_uid: str, instances: Sequence[Dataset]) -> Dataset:
    """The item of ReferencedSeriesSequence (0008,1115) of one series of the same study (PS3.3 C.12.2)."""
    referenced = Dataset()
    referenced.SeriesInstanceUID = series_instance_uid
    referenced.ReferencedInstanceSequence = [reference_to(instance) for instance in instances]
    return referenced
