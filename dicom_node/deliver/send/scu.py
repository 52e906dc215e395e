"""Storage SCU: files to a peer, and the outcome of each.

Files are sent unchanged, in pieces, without being decoded, in associations of our own codec (`association`); results
may be compressed on the way (`compressing`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from dicom_node.deliver.send.association import (
    MAX_PDU_BYTES,
    Call,
    NoContextAccepted,
    ObjectBytes,
    Receiver,
    RequestedAssociation,
    Timeouts,
    associated,
)
from dicom_node.deliver.send.compressing import compressed
from dicom_node.deliver.send.object_file import ObjectFile, read_object_file
from dicom_node.deliver.send.plan import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    AssociationPlan,
    is_native,
    plan_associations,
)
from dicom_node.deliver.send.result_classes import words_of_class
from dicom_node.deliver.send.statuses import StoreStatus, store_status_of, words_of
from dicom_node.node.destinations import Compression
from dicom_node.node.errors import ConfigurationError, DeliveryError
from dicom_node.node.tls import ClientTls

_VERIFICATION: Final = "1.2.840.10008.1.1"
_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_SUCCESS: Final = 0x0000
# What a peer would answer that rejects the presentation context: SOP class not supported (PS3.7 C.5).
_NOT_SUPPORTED: Final = 0x0122
# Objects in a row that end their association: a peer may abort at each of one kind that it never takes. One that is
# silent costs a timeout each time.
_MOST_ABORTED: Final = 5
_MOST_SILENT: Final = 2


@dataclass(frozen=True)
class SendOutcome:
    """The outcome of one file.

    Attributes:
        path: as given.
        status: C-STORE status; 0x0122 (SOP class not supported) when the peer rejected the presentation context; None
            when no answer came: no association, a timeout, an unreadable file.
        ok: the peer holds the object, see `dicom_node.deliver.send.statuses`.
        detail: as text; empty after 0x0000.
        unsupported: UID of the SOP class that the peer does not accept, with 0x0122; else empty.
        lost: it was sent and no answer came: the peer may hold it.
        wait_seconds: for how long the peer asked to be left alone.
        answered: the peer answered, though with nothing that has a C-STORE status.
        answer: what its answer is called, in a protocol without C-STORE statuses.
    """

    path: Path
    status: int | None
    ok: bool
    detail: str
    unsupported: str = ""
    lost: bool = False
    wait_seconds: float = 0.0
    answered: bool = False
    answer: str = ""


def send_files(
    paths: Sequence[Path],
    destination: Receiver,
    progress: Callable[[int, int], None] | None = None,
    *,
    go_on: Callable[[SendOutcome], bool] | None = None,
    calling_ae_title: str = "WMHNODE",
    timeouts: Timeouts | None = None,
    tls: ClientTls | None = None,
    max_pdu_bytes: int = MAX_PDU_BYTES,
    compress: Compression = "none",
) -> list[SendOutcome]:
    """Send files by C-STORE.

    A lost association is opened again for the files that are left, until several in a row are lost.

    Args:
        paths: Part 10 files.
        destination: the peer.
        progress: called with (files dealt with, all files) after each file.
        go_on: asked after each file; where it says no, the files behind it are not tried. All are tried by default.
        calling_ae_title: our AE title.
        timeouts: how long to wait for the peer.
        tls: how to call it over TLS; None for without.
        max_pdu_bytes: the largest PDU that we send and take, whatever the peer announces.
        compress: which results may go in a compressed transfer syntax that the peer accepts, without loss.

    Returns:
        One outcome per path, in the order of `paths`.
    """
    outcomes: dict[int, SendOutcome] = {}
    readable: dict[int, ObjectFile] = {}

    def note(index: int, outcome: SendOutcome) -> bool:
        outcomes[index] = outcome
        if progress is not None:
            progress(len(outcomes), len(paths))
        return go_on is None or go_on(outcome)

    for index, path in enumerate(paths):
        try:
            readable[index] = read_object_file(path)
        except DeliveryError as error:
            if not note(index, SendOutcome(path, None, False, str(error))):
                break
    index_of = {id(file): index for index, file in readable.items()}
    call = Call(destination, calling_ae_title, timeouts or Timeouts(), tls, max_pdu_bytes)
    sending = _send_all(list(readable.values()), call, compress)
    with closing(sending):  # which releases the association, also when we stop before the end
        for file, outcome in sending:
            if not note(index_of[id(file)], outcome):
                break
    for index, path in enumerate(paths):
        if index not in outcomes:
            note(index, SendOutcome(path, None, False, "not tried: a file before it was not stored"))
    return [outcomes[index] for index in range(len(paths))]


def echo(
    destination: Receiver,
    *,
    calling_ae_title: str = "WMHNODE",
    timeouts: Timeouts | None = None,
    tls: ClientTls | None = None,
) -> None:
    """Ask a peer for a sign of life by C-ECHO.

    Raises:
        DeliveryError: no association, or an answer other than 0x0000.
    """
    call = Call(destination, calling_ae_title, timeouts or Timeouts(), tls)
    with _with_reasons(call, ((_VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN),)) as association:
        status = association.echo(_VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)
    if status != _SUCCESS:
        raise DeliveryError(f"{call.name} answered C-ECHO with {words_of(status)}")


def rejected_classes(
    destination: Receiver,
    sop_classes: Sequence[str],
    *,
    calling_ae_title: str = "WMHNODE",
    timeouts: Timeouts | None = None,
    tls: ClientTls | None = None,
) -> tuple[str, ...]:
    """Propose SOP classes in one association, send nothing, and return those that the peer rejects.

    Raises:
        DeliveryError: no association.
    """
    syntaxes = (_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    contexts = [(sop_class, syntax) for sop_class in sop_classes for syntax in syntaxes]
    call = Call(destination, calling_ae_title, timeouts or Timeouts(), tls)
    try:
        with _with_reasons(call, contexts) as association:
            return tuple(sop_class for sop_class in sop_classes if not association.accepts_class(sop_class))
    except NoContextAccepted:
        return tuple(sop_classes)


@contextmanager
def _with_reasons(call: Call, contexts: Sequence[tuple[str, str]]) -> Iterator[RequestedAssociation]:
    """`associated`, with TLS files that cannot be used as one more reason why there is no association."""
    try:
        with associated(call, contexts) as association:
            yield association
    except ConfigurationError as error:
        raise DeliveryError(str(error)) from error


def _send_all(
    files: Sequence[ObjectFile], call: Call, compress: Compression
) -> Generator[tuple[ObjectFile, SendOutcome]]:
    for plan in plan_associations(files, compress):
        yield from _send_plan(plan, call, compress)


def _send_plan(plan: AssociationPlan, call: Call, compress: Compression) -> Iterator[tuple[ObjectFile, SendOutcome]]:
    """Send the files of one plan, in as many associations as it takes."""
    left = list(plan.files)
    aborted = silent = 0  # in a row
    while left:
        try:
            with _with_reasons(call, plan.contexts) as association:
                while left and association.is_open:
                    file = left.pop(0)
                    outcome = _send_compressed(association, file, compress) if compress != "none" else None
                    if outcome is not None and outcome.lost:
                        # It may have fallen over what it accepted: this file again, and all others, as they are.
                        left.insert(0, file)
                        compress = "none"
                        continue
                    if outcome is None:
                        outcome = _send_one(association, file)
                    if association.is_open:
                        aborted = silent = 0
                    aborted += not association.is_open
                    silent += association.was_silent
                    yield file, outcome
        except NoContextAccepted:
            for file in left:
                yield file, _unsupported(file)
            return
        except DeliveryError as error:
            for file in left:
                yield file, SendOutcome(file.path, None, False, str(error))
            return
        if aborted >= _MOST_ABORTED or silent >= _MOST_SILENT:
            for file in left:
                yield file, SendOutcome(file.path, None, False, "not tried: no answer in the association before")
            return


def _send_compressed(association: RequestedAssociation, file: ObjectFile, compress: Compression) -> SendOutcome | None:
    """Send a file in a compressed transfer syntax; None: in none that was accepted, or the peer did not store it so."""
    try:
        source = compressed(file, association.accepts, compress)
        if source is None:
            return None
        outcome = _outcome_of(file, association.store(source))
    except OSError as error:
        return SendOutcome(file.path, None, False, f"cannot be read: {error.strerror}")
    is_there = outcome.ok or store_status_of(outcome.status) is StoreStatus.ALREADY_THERE
    return outcome if is_there or outcome.lost else None


def _send_one(association: RequestedAssociation, file: ObjectFile) -> SendOutcome:
    own, default = file.transfer_syntax_uid, IMPLICIT_VR_LITTLE_ENDIAN
    try:
        if association.accepts(file.sop_class_uid, own):
            source = ObjectBytes(file.sop_class_uid, file.sop_instance_uid, own, file.path, file.offset)
        elif is_native(own) and association.accepts(file.sop_class_uid, default):
            source = ObjectBytes(
                file.sop_class_uid, file.sop_instance_uid, default, file.path, encoded=_implicit(file.path)
            )
        else:
            takes_class = association.accepts_class(file.sop_class_uid)
            return _in_another_syntax(file) if takes_class else _unsupported(file)
        status = association.store(source)
    except OSError as error:
        return SendOutcome(file.path, None, False, f"cannot be read: {error.strerror}")
    except (RuntimeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        return SendOutcome(file.path, None, False, f"not sent: {type(error).__name__}")
    return _outcome_of(file, status)


def _outcome_of(file: ObjectFile, status: int | None) -> SendOutcome:
    if status is None:
        detail = "no answer: the peer was silent or ended the association"
        return SendOutcome(file.path, None, False, detail, lost=True)
    if status == _NOT_SUPPORTED:
        return _unsupported(file)
    ok = store_status_of(status) is StoreStatus.STORED
    return SendOutcome(file.path, status, ok, "" if status == _SUCCESS else words_of(status))


def _implicit(path: Path) -> bytes:
    """The data set in Implicit VR Little Endian (PS3.5 A.1)."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, dcmread(path))
    return bytes(buffer.getvalue())


def _unsupported(file: ObjectFile) -> SendOutcome:
    detail = f"the peer accepts no {words_of_class(file.sop_class_uid)}"
    return SendOutcome(file.path, _NOT_SUPPORTED, False, detail, file.sop_class_uid)


def _in_another_syntax(file: ObjectFile) -> SendOutcome:
    syntax = UID(file.transfer_syntax_uid).name
    detail = f"the peer accepts no {words_of_class(file.sop_class_uid)} in transfer syntax {syntax}"
    return SendOutcome(file.path, _NOT_SUPPORTED, False, detail)
