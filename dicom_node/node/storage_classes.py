"""The SOP classes that may be stored here, as one table (PS3.4 table B.5-1, UIDs of PS3.6 table A-1).

A PACS sends whole studies, and many senders give up at the first object that is not accepted (DCMTK's storescu halts,
Orthanc's job fails), so that the FLAIR behind a report would never come. So the node accepts the objects of a
hospital's studies, keeps them like any instance, and gives for each series the reason why it is not analysed. Others
are rejected as "abstract syntax not supported" (PS3.8 table 9-18), so that no sender counts on a copy that does not
exist.

The vendors' own classes, which scanners file in their MR studies, are in no standard; source: dcm4che's table of UIDs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dicom_node.node.dicom_uids import (
    ENHANCED_MR_IMAGE_STORAGE,
    LABEL_MAP_SEGMENTATION_STORAGE,
    LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE,
    MR_IMAGE_STORAGE,
    NATIVE_SYNTAXES,
    SEGMENTATION_STORAGE,
    TRANSFER_SYNTAXES,
    VIEWED_SYNTAXES,
    TransferSyntax,
)


@dataclass(frozen=True)
class StorageClass:
    """One SOP class.

    Attributes:
        uid: SOP Class UID.
        called: what a technologist calls such objects.
        is_read: the node reads its pixels, so an object without whole pixel data is refused at the door. What is only
            held must be an object (0xC000 for one that does not parse) with the UIDs that it is kept by (0xA900); no
            more is asked of it, so that other faults in it do not end the transfer of its study.
        transfer_syntaxes: in which it is taken, by UID.
    """

    uid: str
    called: str
    is_read: bool
    transfer_syntaxes: Mapping[str, TransferSyntax]


_STANDARD: Final = "1.2.840.10008.5.1.4.1.1"

_READ: Final = {
    MR_IMAGE_STORAGE: "MR images",
    ENHANCED_MR_IMAGE_STORAGE: "MR images",
    LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE: "MR images",
    # Feedback: what a radiologist corrected.
    SEGMENTATION_STORAGE: "segmentation",
    LABEL_MAP_SEGMENTATION_STORAGE: "segmentation",
}

_HELD_IMAGES: Final = {
    f"{_STANDARD}.1": "X-ray images",  # Computed Radiography
    f"{_STANDARD}.1.1": "X-ray images",  # Digital X-Ray, for presentation
    f"{_STANDARD}.1.1.1": "X-ray images",  # Digital X-Ray, for processing
    f"{_STANDARD}.1.2": "mammography",  # for presentation
    f"{_STANDARD}.1.2.1": "mammography",  # for processing
    f"{_STANDARD}.2": "CT images",
    f"{_STANDARD}.2.1": "CT images",  # Enhanced
    f"{_STANDARD}.2.2": "CT images",  # Legacy Converted Enhanced
    f"{_STANDARD}.3.1": "ultrasound",  # Multi-frame
    f"{_STANDARD}.4.3": "colour MR images",  # Enhanced MR Color
    f"{_STANDARD}.6.1": "ultrasound",
    f"{_STANDARD}.6.2": "ultrasound",  # Enhanced US Volume
    f"{_STANDARD}.7": "secondary capture",
    f"{_STANDARD}.7.1": "secondary capture",  # Multi-frame Single Bit
    f"{_STANDARD}.7.2": "secondary capture",  # Multi-frame Grayscale Byte
    f"{_STANDARD}.7.3": "secondary capture",  # Multi-frame Grayscale Word
    f"{_STANDARD}.7.4": "secondary capture",  # Multi-frame True Color
    f"{_STANDARD}.12.1": "angiography",  # X-Ray Angiographic
    f"{_STANDARD}.12.1.1": "angiography",  # Enhanced XA
    f"{_STANDARD}.12.2": "fluoroscopy",  # X-Ray Radiofluoroscopic
    f"{_STANDARD}.13.1.1": "angiography",  # X-Ray 3D Angiographic
    f"{_STANDARD}.20": "nuclear medicine",
    f"{_STANDARD}.30": "parametric map",
    f"{_STANDARD}.77.1.4": "photographs",  # VL Photographic
    f"{_STANDARD}.128": "PET images",
    f"{_STANDARD}.128.1": "PET images",  # Legacy Converted Enhanced
    f"{_STANDARD}.130": "PET images",  # Enhanced
    f"{_STANDARD}.481.1": "radiotherapy objects",  # RT Image
    f"{_STANDARD}.481.2": "radiotherapy objects",  # RT Dose
    "1.3.46.670589.11.0.0.12.3": "a vendor's own objects",  # Philips Private MR Color Image
}

_HELD_DOCUMENTS: Final = {
    f"{_STANDARD}.4.2": "MR spectroscopy",
    f"{_STANDARD}.9.1.1": "ECG",  # 12-lead
    f"{_STANDARD}.9.1.2": "ECG",  # General
    f"{_STANDARD}.11.1": "presentation state",  # Grayscale Softcopy
    f"{_STANDARD}.11.2": "presentation state",  # Color Softcopy
    f"{_STANDARD}.11.3": "presentation state",  # Pseudo-Color Softcopy
    f"{_STANDARD}.11.4": "presentation state",  # Blending Softcopy
    f"{_STANDARD}.11.8": "presentation state",  # Advanced Blending
    f"{_STANDARD}.66": "raw data",
    f"{_STANDARD}.66.1": "registration",  # Spatial
    f"{_STANDARD}.66.2": "fiducials",  # Spatial
    f"{_STANDARD}.66.3": "registration",  # Deformable Spatial
    f"{_STANDARD}.66.5": "surface segmentation",
    f"{_STANDARD}.66.6": "tractography",
    f"{_STANDARD}.67": "real world value mapping",
    f"{_STANDARD}.88.11": "structured report",  # Basic Text
    f"{_STANDARD}.88.22": "structured report",  # Enhanced
    f"{_STANDARD}.88.33": "structured report",  # Comprehensive
    f"{_STANDARD}.88.34": "structured report",  # Comprehensive 3D
    f"{_STANDARD}.88.35": "structured report",  # Extensible
    f"{_STANDARD}.88.40": "procedure log",
    f"{_STANDARD}.88.59": "key object selection",
    f"{_STANDARD}.88.67": "radiation dose report",  # X-Ray
    f"{_STANDARD}.88.68": "radiation dose report",  # Radiopharmaceutical
    f"{_STANDARD}.88.71": "structured report",  # Acquisition Context
    f"{_STANDARD}.104.1": "PDF document",  # Encapsulated PDF
    f"{_STANDARD}.104.2": "document",  # Encapsulated CDA
    f"{_STANDARD}.104.3": "3D model",  # Encapsulated STL
    f"{_STANDARD}.481.3": "radiotherapy objects",  # RT Structure Set
    f"{_STANDARD}.481.5": "radiotherapy objects",  # RT Plan
    "1.3.12.2.1107.5.9.1": "a vendor's own objects",  # Siemens CSA Non-Image
    "1.3.12.2.1107.5.99.3.10": "a vendor's own objects",  # Siemens CT MR Volume
    "1.3.12.2.1107.5.99.3.11": "a vendor's own objects",  # Siemens AX Frame Sets
    "1.3.46.670589.11.0.0.12.1": "a vendor's own objects",  # Philips Private MR Spectrum
    "1.3.46.670589.11.0.0.12.2": "a vendor's own objects",  # Philips Private MR Series Data
    "1.3.46.670589.11.0.0.12.4": "a vendor's own objects",  # Philips Private MR Examcard
}


def _classes() -> dict[str, StorageClass]:
    groups = (
        (_READ, True, TRANSFER_SYNTAXES),
        (_HELD_IMAGES, False, {**TRANSFER_SYNTAXES, **VIEWED_SYNTAXES}),
        (_HELD_DOCUMENTS, False, NATIVE_SYNTAXES),
    )
    return {
        uid: StorageClass(uid, called, is_read, MappingProxyType(dict(syntaxes)))
        for names, is_read, syntaxes in groups
        for uid, called in names.items()
    }


STORAGE_CLASSES: Final[Mapping[str, StorageClass]] = MappingProxyType(_classes())
