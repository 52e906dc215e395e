"""Which files go in one association: a context per SOP class and transfer syntax, 128 at most (PS3.8 9.3.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicom_node.deliver.send.compressing import compressed_syntaxes
from dicom_node.deliver.send.object_file import ObjectFile
from dicom_node.node.destinations import Compression

MAX_CONTEXTS = 128
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
# Not Explicit VR Big Endian: its pixel data would have to be turned round.
_NATIVE = {IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.1"}

Context = tuple[str, str]
"""SOP class UID, transfer syntax UID."""


@dataclass(frozen=True)
class AssociationPlan:
    """Files to send in one association and the contexts to propose for them, one transfer syntax each."""

    files: tuple[ObjectFile, ...]
    contexts: tuple[Context, ...]


def plan_associations(files: Sequence[ObjectFile], compress: Compression = "none") -> Iterator[AssociationPlan]:
    """Split files, in their order, into associations of at most 128 contexts.

    Args:
        files: what is sent.
        compress: which results are also offered in compressed transfer syntaxes.
    """
    chosen: list[ObjectFile] = []
    contexts: dict[Context, None] = {}
    for file in files:
        wanted = [context for context in contexts_of(file, compress) if context not in contexts]
        if len(contexts) + len(wanted) > MAX_CONTEXTS:
            yield AssociationPlan(tuple(chosen), tuple(contexts))
            chosen, contexts = [], {}
            wanted = contexts_of(file, compress)
        contexts.update(dict.fromkeys(wanted))
        chosen.append(file)
    if chosen:
        yield AssociationPlan(tuple(chosen), tuple(contexts))


def contexts_of(file: ObjectFile, compress: Compression = "none") -> list[Context]:
    """The compressed transfer syntaxes that are worth it, the file's own, and the default one.

    The default one stands there when the object can be put into it without decoding pixels.

    An SCU has to offer Implicit VR Little Endian where it can (PS3.5 10.1), and some archives take nothing else.
    """
    own = (file.sop_class_uid, file.transfer_syntax_uid)
    default = (file.sop_class_uid, IMPLICIT_VR_LITTLE_ENDIAN)
    offered = [(file.sop_class_uid, syntax) for syntax in compressed_syntaxes(file, compress)]
    return [*offered, own, default] if is_native(file.transfer_syntax_uid) and own != default else [own]


def is_native(transfer_syntax_uid: str) -> bool:
    """Whether the data set can be put into the default transfer syntax without touching pixel data."""
    return transfer_syntax_uid in _NATIVE
