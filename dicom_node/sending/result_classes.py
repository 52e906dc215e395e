"""The SOP classes of our results: in words, and what to do about a peer that rejects one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom_node.receiving.uids import LABEL_MAP_SEGMENTATION_STORAGE
from dicom_node.results.profiles import ObjectKind, Wish


@dataclass(frozen=True)
class ResultClass:
    """A SOP class of results (PS3.4 B.5).

    Attributes:
        words: its objects, in the plural.
        name: of the class, as the peer's conformance statement has it.
        otherwise: what to write behind a destination (or leave out) that is not to get it.
    """

    words: str
    name: str
    otherwise: str


_CLASSES: Final[Mapping[str, ResultClass]] = MappingProxyType(
    {
        SegmentationStorage: ResultClass("segmentations", "Segmentation Storage", "the profile +legacy"),
        LABEL_MAP_SEGMENTATION_STORAGE: ResultClass(
            "label map segmentations", "Label Map Segmentation Storage", "another encoding than +labelmap"
        ),
        Comprehensive3DSRStorage: ResultClass("reports", "Comprehensive 3D SR Storage", "the profile +legacy"),
        SecondaryCaptureImageStorage: ResultClass("pictures", "Secondary Capture Image Storage", "the profile +slicer"),
        GrayscaleSoftcopyPresentationStateStorage: ResultClass(
            "presentation states", "Grayscale Softcopy Presentation State Storage", "the profile +generic"
        ),
        EncapsulatedPDFStorage: ResultClass("PDF documents", "Encapsulated PDF Storage", "the profile +generic"),
    }
)

_OF_KIND: Final[Mapping[ObjectKind, str]] = MappingProxyType(
    {
        ObjectKind.SEG: SegmentationStorage,
        ObjectKind.REGIONS: SegmentationStorage,
        ObjectKind.SUMMARY: SecondaryCaptureImageStorage,
        ObjectKind.PRESENTATION: GrayscaleSoftcopyPresentationStateStorage,
        ObjectKind.PDF: EncapsulatedPDFStorage,
        ObjectKind.PROBABILITY: SegmentationStorage,
        ObjectKind.SR: Comprehensive3DSRStorage,
    }
)


def classes_of(wish: Wish) -> tuple[str, ...]:
    """SOP class UIDs of what a destination is sent, each once, in sending order."""
    label_maps = wish.profile.seg_encoding == "labelmap"
    in_this_form = {kind: LABEL_MAP_SEGMENTATION_STORAGE for kind in (ObjectKind.SEG, ObjectKind.REGIONS) if label_maps}
    return tuple(dict.fromkeys(in_this_form.get(kind, _OF_KIND[kind]) for kind in wish.kinds))


def words_of_class(sop_class_uid: str) -> str:
    """Its objects in words: "segmentations (Segmentation Storage)"; the name or the UID of a class of others."""
    ours = _CLASSES.get(sop_class_uid)
    return UID(sop_class_uid).name if ours is None else f"{ours.words} ({ours.name})"


def remedy(sop_class_uids: Iterable[str], then: str = "") -> str:
    """What to do where a destination rejects classes of results; "" when none of them is one.

    Args:
        sop_class_uids: those that it rejects.
        then: what to do once the destination accepts them.
    """
    others = dict.fromkeys(_CLASSES[uid].otherwise for uid in sop_class_uids if uid in _CLASSES)
    if not others:
        return ""
    # What is in the outbox was written for the profile of that time, and goes out as it is.
    return (
        f"accept the SOP class there{then and f', then {then}'}; or give the destination {', '.join(others)}, which "
        "counts for series that are analysed after that"
    )
