"""Who made a result: this software with this model, and the scanner that made the images."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME, SOFTWARE_VERSION
from dicom_node.results.common.codes import ACQUISITION_EQUIPMENT, PROCESSING_EQUIPMENT
from dicom_node.results.common.identity import copy_elements
from dicom_node.results.common.stamp import Stamp
from dicom_node.results.common.uids import device_uid
from segmentation.bundle import ModelIdentity

RESEARCH_USE: Final = "Research use only, not a medical device."
_LONG_STRING: Final = 64  # LO, PS3.5 6.2

_SCANNER: Final = ("Manufacturer", "ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions")


def software_versions(model: ModelIdentity) -> list[str]:
    """SoftwareVersions (0018,1020): the node and the model."""
    return [f"{SOFTWARE_NAME} {SOFTWARE_VERSION}", f"{model.name} {model.version}"[:_LONG_STRING]]


def general_equipment(model: ModelIdentity) -> Dataset:
    """The (Enhanced) General Equipment module (PS3.3 C.7.5.1, C.7.5.2) of a result.

    The model's digest serves as serial number: two installations of the same model have the same one.
    """
    equipment = Dataset()
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = SOFTWARE_NAME
    equipment.DeviceSerialNumber = model.digest[:_LONG_STRING]
    equipment.SoftwareVersions = software_versions(model)
    equipment.DeviceUID = device_uid(model.digest)
    return equipment


def contributing_equipment(model: ModelIdentity, source: Dataset, stamp: Stamp) -> list[Dataset]:
    """Items of the Contributing Equipment Sequence (0018,A001) (PS3.3 C.12.1): the node, then the scanner if known."""
    node = Dataset()
    node.PurposeOfReferenceCodeSequence = [PROCESSING_EQUIPMENT]
    node.update(general_equipment(model))
    node.ContributionDateTime = stamp.date_time
    node.ContributionDescription = f"Segmentation of white matter hyperintensities. {RESEARCH_USE}"
    scanner = Dataset()
    copy_elements(source, scanner, _SCANNER)
    if "Manufacturer" not in scanner:  # type 1 here, type 2 in the images
        return [node]
    scanner.PurposeOfReferenceCodeSequence = [ACQUISITION_EQUIPMENT]
    return [node, scanner]
