"""The UIDs that the receiver knows by name: classes that the node reads, transfer syntaxes, and its own name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

VERIFICATION: Final = "1.2.840.10008.1.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"  # PS3.4 C.6.2
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
MR_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.4.1"
LEGACY_CONVERTED_ENHANCED_MR_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.4.4"
SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.7"
# Feedback: what a radiologist corrected.
SEGMENTATION_CLASSES: Final = frozenset({SEGMENTATION_STORAGE, LABEL_MAP_SEGMENTATION_STORAGE})

# Random constants, never derived from a version: the file meta information that we write must stay the same for the
# same object, or a resend after an upgrade would count as other bytes.
IMPLEMENTATION_CLASS_UID: Final = "2.25.285838751526431569678483466620708383557"
IMPLEMENTATION_VERSION_NAME: Final = "WMHNODE"


@dataclass(frozen=True)
class TransferSyntax:
    """How a data set is encoded on the wire (PS3.5 section 10 and annex A)."""

    uid: str
    name: str
    explicit_vr: bool = True
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False


IMPLICIT_VR_LITTLE_ENDIAN: Final = TransferSyntax("1.2.840.10008.1.2", "Implicit VR Little Endian", explicit_vr=False)
EXPLICIT_VR_LITTLE_ENDIAN: Final = TransferSyntax("1.2.840.10008.1.2.1", "Explicit VR Little Endian")
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = TransferSyntax(
    "1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", deflated=True
)
EXPLICIT_VR_BIG_ENDIAN: Final = TransferSyntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian", big_endian=True)

_NATIVE: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
_COMPRESSED: Final = (
    TransferSyntax("1.2.840.10008.1.2.5", "RLE Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.57", "JPEG Lossless, Process 14", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.70", "JPEG Lossless, Process 14, Selection Value 1", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.91", "JPEG 2000", encapsulated=True),
)
# Many a PACS holds ultrasound and secondary captures in these. Objects that are only kept may use them; MR may not,
# since no one should measure on 8 lossy bits.
_VIEWED: Final = (
    TransferSyntax("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", encapsulated=True),
)
NATIVE_SYNTAXES: Final = {syntax.uid: syntax for syntax in _NATIVE}
"""For what has no images to compress."""
TRANSFER_SYNTAXES: Final = {syntax.uid: syntax for syntax in (*_NATIVE, *_COMPRESSED)}
"""For images that the node reads."""
VIEWED_SYNTAXES: Final = {syntax.uid: syntax for syntax in _VIEWED}
"""Besides, for images that it only holds."""
