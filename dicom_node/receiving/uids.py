"""The UIDs that the receiver knows: what it stores, in which transfer syntaxes, and its own name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

VERIFICATION: Final = "1.2.840.10008.1.1"
MR_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.4.1"
SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.66.7"
# Feedback: what a radiologist corrected.
SEGMENTATION_CLASSES: Final = frozenset({SEGMENTATION_STORAGE, LABEL_MAP_SEGMENTATION_STORAGE})

# Only what the node reads, feedback among it. A routed study brings more (SR, presentation states, CT): their
# presentation contexts are rejected as "abstract syntax not supported" (PS3.8 table 9-18), so that the sender knows
# that we do not hold them. Accepting and dropping them would let a PACS believe in a copy that does not exist.
STORAGE_CLASSES: Final = frozenset({MR_IMAGE_STORAGE, ENHANCED_MR_IMAGE_STORAGE}) | SEGMENTATION_CLASSES

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

_ACCEPTED: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax("1.2.840.10008.1.2.5", "RLE Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.57", "JPEG Lossless, Process 14", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.70", "JPEG Lossless, Process 14, Selection Value 1", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless", encapsulated=True),
    TransferSyntax("1.2.840.10008.1.2.4.91", "JPEG 2000", encapsulated=True),
)
TRANSFER_SYNTAXES: Final = {syntax.uid: syntax for syntax in _ACCEPTED}
