"""The SOP classes of our results: their names, and what to do about a peer that rejects one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
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

from dicom_node.node.dicom_uids import LABEL_MAP_SEGMENTATION_STORAGE
from dicom_node.node.profiles import PROFILES, DeliveryOptions, ObjectKind, Profile


@dataclass(frozen=True)
class ResultClass:
    """A SOP class of results (PS3.4 B.5).

    Attributes:
        words: its objects, in the plural.
        name: of the class, as the peer's conformance statement has it.
    """

    words: str
    name: str


_CLASSES: Final[Mapping[str, ResultClass]] = MappingProxyType(
    {
        SegmentationStorage: ResultClass("segmentations", "Segmentation Storage"),
        LABEL_MAP_SEGMENTATION_STORAGE: ResultClass("label map segmentations", "Label Map Segmentation Storage"),
        Comprehensive3DSRStorage: ResultClass("reports", "Comprehensive 3D SR Storage"),
        SecondaryCaptureImageStorage: ResultClass("pictures", "Secondary Capture Image Storage"),
        GrayscaleSoftcopyPresentationStateStorage: ResultClass(
            "presentation states", "Grayscale Softcopy Presentation State Storage"
        ),
        EncapsulatedPDFStorage: ResultClass("PDF documents", "Encapsulated PDF Storage"),
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

# What may stand behind a destination beside its profile and change the classes that it is sent.
_OPTIONS: Final[Mapping[str, Callable[[Profile], DeliveryOptions]]] = MappingProxyType(
    {
        "+labelmap": lambda profile: DeliveryOptions(replace(profile, seg_encoding="labelmap")),
        "+probability": lambda profile: DeliveryOptions(profile, probability_map=True),
    }
)


def classes_of(options: DeliveryOptions) -> tuple[str, ...]:
    """SOP class UIDs of what a destination is sent, each once, in sending order."""
    label_maps = options.profile.seg_encoding == "labelmap"
    in_this_form = {kind: LABEL_MAP_SEGMENTATION_STORAGE for kind in (ObjectKind.SEG, ObjectKind.REGIONS) if label_maps}
    return tuple(dict.fromkeys(in_this_form.get(kind, _OF_KIND[kind]) for kind in options.kinds))


def class_of_kind(kind: ObjectKind) -> str:
    """SOP class UID of a kind of result in its first form."""
    return _OF_KIND[kind]


def words_of_class(sop_class_uid: str) -> str:
    """Its objects by name: "segmentations (Segmentation Storage)"; for other classes, the name or the UID."""
    ours = _CLASSES.get(sop_class_uid)
    return UID(sop_class_uid).name if ours is None else f"{ours.words} ({ours.name})"


def remedy(sop_class_uids: Iterable[str], options: DeliveryOptions, then: str = "") -> str:
    """What to do where a destination rejects classes of results; "" when none of them is one.

    Args:
        sop_class_uids: those that it rejects.
        options: what the destination is sent.
        then: what to do once the destination accepts them.
    """
    rejected = frozenset(uid for uid in sop_class_uids if uid in _CLASSES)
    if not rejected:
        return ""
    accept = f"accept the SOP class there{then and f', then {then}'}"
    change = _change_of_settings(rejected, options)
    # What is in the outbox was written for the profile of that time, and goes out as it is.
    return f"{accept}; or {change}, which counts for series that are analysed after that" if change else accept


def _change_of_settings(rejected: Set[str], options: DeliveryOptions) -> str:
    """How a destination is sent none of these, by the least change to it; "" where no profile is without them."""
    own = (options.profile, PROFILES[options.profile.name])
    for profile in (*own, *(other for other in PROFILES.values() if other not in own)):
        if rejected.isdisjoint(classes_of(DeliveryOptions(profile))):
            steps = [] if profile in own else [f"give the destination the profile +{profile.name}"]
            if left_out := [option for option in _options_of(options) if _sends(profile, option, rejected)]:
                steps.append(f"leave out {' and '.join(left_out)}")
            return " and ".join(steps)
    return ""


def _options_of(options: DeliveryOptions) -> tuple[str, ...]:
    has = {"+labelmap": options.profile.seg_encoding == "labelmap", "+probability": options.probability_map}
    return tuple(option for option in _OPTIONS if has[option])


def _sends(profile: Profile, option: str, sop_class_uids: Set[str]) -> bool:
    return not sop_class_uids.isdisjoint(classes_of(_OPTIONS[option](profile)))
