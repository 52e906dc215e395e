"""What a destination would take: its own objects negotiated, none sent. C-ECHO says nothing about that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node.deliver.send.association import Call, NoContextAccepted, associated
from dicom_node.deliver.send.object_file import read_object_file
from dicom_node.deliver.send.plan import IMPLICIT_VR_LITTLE_ENDIAN, MAX_CONTEXTS, Context, is_native
from dicom_node.deliver.send.result_classes import classes_of, words_of_class
from dicom_node.deliver.verify.find import STUDY_ROOT_FIND
from dicom_node.node.commitment import STORAGE_COMMITMENT
from dicom_node.node.destinations import Destination
from dicom_node.node.errors import ConfigurationError, DeliveryError

_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_PROOFS: Final = {
    "commit": (STORAGE_COMMITMENT, "storage commitment"),
    "verify": (STUDY_ROOT_FIND, "queries (Study Root C-FIND)"),
}


@dataclass(frozen=True)
class TriedContext:
    """One presentation context that delivering needs.

    Attributes:
        words: what it is for.
        accepted: whether the destination takes it, also in the default transfer syntax where we can send that.
    """

    sop_class_uid: str
    transfer_syntax_uid: str
    words: str
    accepted: bool


def contexts_of_files(files: Sequence[Path]) -> list[Context]:
    """SOP class and transfer syntax of real objects, each once; what cannot be read is left out."""
    found: dict[Context, None] = {}
    for file in files:
        try:
            read = read_object_file(file)
        except DeliveryError:
            continue
        found[read.sop_class_uid, read.transfer_syntax_uid] = None
    return list(found)


def contexts_of_profile(destination: Destination) -> list[Context]:
    """The same by the destination's profile, where there is no result set yet."""
    return [(sop_class, _EXPLICIT_VR_LITTLE_ENDIAN) for sop_class in classes_of(destination.options)]


def try_contexts(call: Call, destination: Destination, wanted: Sequence[Context]) -> list[TriedContext]:
    """Propose what delivering needs, proofs too, in one association.

    Raises:
        DeliveryError: no association, with what to do.
    """
    proposed: dict[Context, None] = {}
    for sop_class, syntax in wanted:
        proposed[sop_class, syntax] = None
        if is_native(syntax):
            proposed[sop_class, IMPLICIT_VR_LITTLE_ENDIAN] = None
    proof = None if destination.proof is None else _PROOFS[destination.proof]
    if proof is not None:
        proposed[proof[0], IMPLICIT_VR_LITTLE_ENDIAN] = None
    accepted = _accepted(call, list(proposed)[:MAX_CONTEXTS])
    tried = [
        TriedContext(sop_class, syntax, words_of_class(sop_class), _is_taken(sop_class, syntax, accepted))
        for sop_class, syntax in wanted
    ]
    if proof is not None:
        taken = (proof[0], IMPLICIT_VR_LITTLE_ENDIAN) in accepted
        tried.append(TriedContext(proof[0], IMPLICIT_VR_LITTLE_ENDIAN, proof[1], taken))
    return tried


def _is_taken(sop_class: str, syntax: str, accepted: set[Context]) -> bool:
    return (sop_class, syntax) in accepted or (is_native(syntax) and (sop_class, IMPLICIT_VR_LITTLE_ENDIAN) in accepted)


def _accepted(call: Call, proposed: Sequence[Context]) -> set[Context]:
    try:
        with associated(call, proposed) as association:
            return {context for context in proposed if association.accepts(*context)}
    except NoContextAccepted:
        return set()
    except ConfigurationError as error:  # TLS files that cannot be used
        raise DeliveryError(str(error)) from error
