"""What a destination is sent: a table of profiles, one for each kind of reader behind a PACS.

Settings import this file, and so does every process: it must stay small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, get_args

SegEncoding = Literal["binary", "labelmap", "occupancy"]
"""How SEG and REGIONS hold their voxels: one bit for each segment; one number for all segments; one byte for each
segment that is 0 or 255 (SegmentationType BINARY, LABELMAP, FRACTIONAL with SegmentationFractionalType OCCUPANCY)."""

ProfileName = Literal["generic", "ohif", "slicer", "legacy"]
"""The names in `PROFILES`, for settings."""


class ObjectKind(StrEnum):
    """The kinds of objects that a result set can hold, in the order in which they are sent."""

    SEG = "seg"
    """The WMH as one segment."""
    REGIONS = "regions"
    """Periventricular WMH, deep WMH and the ventricles as segments; absent where no ventricles were found."""
    SUMMARY = "summary"
    """The picture for a person (Secondary Capture), one page or a few."""
    PRESENTATION = "presentation"
    """The outlines as graphics over the source's own images (GSPS)."""
    PDF = "pdf"
    """The summary as an Encapsulated PDF."""
    PROBABILITY = "probability"
    """What the ensemble made of each voxel (FRACTIONAL SEG)."""
    SR = "sr"
    """The measurement report; last, since it refers to SEG and REGIONS."""


class MessageKind(StrEnum):
    """The kinds of reports to systems that take no DICOM; each is a file of the result set."""

    ORU = "oru"
    """HL7 v2.5.1 ORU^R01."""
    FHIR = "fhir"
    """FHIR R4: a Bundle of type transaction."""


MESSAGE_NAMES: Final[Mapping[MessageKind, str]] = MappingProxyType(
    {MessageKind.ORU: "oru.hl7", MessageKind.FHIR: "fhir.json"}
)
"""The names of their files."""

MESSAGE_SUFFIXES: Final[Mapping[MessageKind, str]] = MappingProxyType(
    {kind: f".{name.rpartition('.')[2]}" for kind, name in MESSAGE_NAMES.items()}
)


def kind_of_message(name: str) -> MessageKind | None:
    """Which report a file holds, of a result or of its withdrawal; None for an object."""
    return next((kind for kind, suffix in MESSAGE_SUFFIXES.items() if name.endswith(suffix)), None)


FILE_STEMS: Final[Mapping[ObjectKind, str]] = MappingProxyType(
    {
        ObjectKind.SEG: "seg",
        ObjectKind.REGIONS: "regions",
        ObjectKind.SUMMARY: "summary",
        ObjectKind.PRESENTATION: "presentation",
        ObjectKind.PDF: "report-pdf",
        ObjectKind.PROBABILITY: "probability",
        ObjectKind.SR: "sr",
    }
)
"""How the names of a kind's files begin; a form, a page's number and the ending follow."""

REFERS_TO: Final[Mapping[ObjectKind, frozenset[ObjectKind]]] = MappingProxyType(
    {kind: frozenset[ObjectKind]() for kind in ObjectKind}
    | {ObjectKind.SR: frozenset({ObjectKind.SEG, ObjectKind.REGIONS})}
)
"""Other results that an object is about: a destination that lacks these must not get it. All others are independent:
the report also leads to the pages, and the PDF too, but says the same without them.
"""


def kind_of_file(name: str) -> ObjectKind | None:
    """What a file of a result set holds; None for a name that is none of ours."""
    return next((kind for kind, stem in FILE_STEMS.items() if name.startswith((f"{stem}.", f"{stem}-"))), None)


@dataclass(frozen=True)
class SegForm:
    """One way to write SEG and REGIONS. Each form has its own UIDs and file names, and an SR that refers to it.

    Attributes:
        encoding: SegmentationType.
        empty_frames: whether slices without a voxel of a segment have a frame.
    """

    encoding: SegEncoding = "binary"
    empty_frames: bool = True

    @property
    def has_pages(self) -> bool:
        """Whether those who read this form get the pages too: a reader that wants no empty frames wants no pages."""
        return self.empty_frames

    @property
    def suffix(self) -> str:
        """In file names and derived UIDs; "" for the first form."""
        encoding = "" if self.encoding == "binary" else f"-{self.encoding}"
        return encoding + ("" if self.empty_frames else "-nonempty")


FIRST_FORM: Final = SegForm()
"""BINARY with a frame for every slice: every node keeps this form of a job, whatever its destinations need."""


@dataclass(frozen=True)
class Profile:
    """What one kind of reader is sent.

    Attributes:
        name: as settings call it.
        objects: which kinds, in sending order. What a series does not give (regions without ventricles) is left out.
        seg_encoding, empty_frames: the form of SEG and REGIONS.
        sends_refusals: of a series that cannot be analysed, a refusal report says why.
        why: the reason for the profile, with its source.
        whole_bytes: where a frame of bits would not end at a byte, OCCUPANCY takes the place of BINARY.

    Raises:
        ValueError: kinds that come twice, in another order, or a report without the segmentation that it refers to.
    """

    name: ProfileName
    objects: tuple[ObjectKind, ...]
    seg_encoding: SegEncoding
    empty_frames: bool
    sends_refusals: bool
    why: str
    whole_bytes: bool = False

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        if self.objects != tuple(kind for kind in ObjectKind if kind in self.objects) or not self.objects:
            raise ValueError(f"expected each kind once, in sending order, got {', '.join(self.objects)}")
        if ObjectKind.SR in self.objects and not REFERS_TO[ObjectKind.SR] <= set(self.objects):
            raise ValueError("expected SEG and REGIONS with the report that refers to them")
        if ObjectKind.SR in self.objects and self.form.has_pages != (ObjectKind.SUMMARY in self.objects):
            raise ValueError("expected pages where every slice has a frame, and only there: the report refers to them")
        if self.seg_encoding not in get_args(SegEncoding):
            raise ValueError(f"expected {', '.join(get_args(SegEncoding))}, got {self.seg_encoding}")

    @property
    def form(self) -> SegForm:
        """How its SEG and REGIONS are written, unless the size of the frames says otherwise."""
        return SegForm(self.seg_encoding, self.empty_frames)

    def form_for(self, rows: int, columns: int) -> SegForm:
        """How its SEG and REGIONS are written, for frames of this size."""
        uneven = self.whole_bytes and self.seg_encoding == "binary" and rows * columns % 8 != 0
        return SegForm("occupancy", self.empty_frames) if uneven else self.form


@dataclass(frozen=True)
class DeliveryOptions:
    """What one destination is sent: a profile's objects, and the probability map where it wants that too; or a message
    in place of objects.
    """

    profile: Profile
    probability_map: bool = False
    message: MessageKind | None = None

    @property
    def kinds(self) -> tuple[ObjectKind, ...]:
        """In sending order; none for a destination of messages."""
        if self.message is not None:
            return ()
        kinds = {*self.profile.objects, *((ObjectKind.PROBABILITY,) if self.probability_map else ())}
        return tuple(kind for kind in ObjectKind if kind in kinds)


_FOR_A_VIEWER: Final = (ObjectKind.SEG, ObjectKind.REGIONS, ObjectKind.SUMMARY, ObjectKind.SR)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(
                name="generic",
                objects=_FOR_A_VIEWER,
                seg_encoding="binary",
                empty_frames=True,
                sends_refusals=True,
                why="For a PACS of unknown abilities. BINARY, because Orthanc 1.12 and many archives do not know "
                "Label Map Segmentation Storage (Supplement 243, 2024). Every slice has its frame, so that readers "
                "that pair frames and slices by number are also right. The summary for viewers that show no SEG.",
            ),
            Profile(
                name="ohif",
                objects=_FOR_A_VIEWER,
                seg_encoding="binary",
                empty_frames=True,
                sends_refusals=True,
                why="OHIF 3 shows SEG as overlay, the report's groups in its panel, and the summary as an image; it "
                "loads no presentation state of annotations for SEG and needs a plug-in for PDF. Tested in Chromium. "
                "Unless set to load frame by frame, OHIF 3.13 scrambles a BINARY SEG whose frames do not end at a "
                "byte (measured: docs/administrator/interoperability.md), and reads the same as OCCUPANCY exactly.",
                whole_bytes=True,
            ),
            Profile(
                name="slicer",
                objects=(ObjectKind.SEG, ObjectKind.REGIONS, ObjectKind.SR),
                seg_encoding="binary",
                empty_frames=False,
                sends_refusals=False,
                why="3D Slicer reads SEG through dcmqi, whose own objects leave empty frames out, and measurement "
                "reports (TID 1500) through its Quantitative Reporting; research reads numbers there, not pages, "
                "and a series without a result needs no report.",
            ),
            Profile(
                name="legacy",
                objects=(ObjectKind.SUMMARY, ObjectKind.PRESENTATION, ObjectKind.PDF),
                seg_encoding="binary",
                empty_frames=True,
                sends_refusals=True,
                why="For a PACS that shows neither SEG nor SR: pictures (Secondary Capture, PS3.3 A.8), graphics over "
                "its own images (GSPS, PS3.3 A.33), and a document (Encapsulated PDF, PS3.3 A.45).",
            ),
        )
    }
)

DEFAULT_PROFILE: Final = PROFILES["generic"]
DEFAULT_OPTIONS: Final = DeliveryOptions(DEFAULT_PROFILE)
MESSAGE_OPTIONS: Final[Mapping[MessageKind, DeliveryOptions]] = MappingProxyType(
    {kind: DeliveryOptions(DEFAULT_PROFILE, message=kind) for kind in MessageKind}
)
"""What a destination of each kind of message is sent."""
