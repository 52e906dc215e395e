"""What an archive gives in answer to our own request, on the receiver's way to disk: checked, flushed, its row
committed.

The same `Store` as behind C-STORE to our port, under a receiver's name of its own, so that a retriever that is killed
leaves what a killed receiver leaves: nothing that its next start does not clear up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Final

from db.engine import Database
from db.inbox import Inbox
from db.records import AssociationEnd, Priority
from dicom_node.node.errors import DeliveryError, ReceivingError
from dicom_node.node.files import make_folder, sync_folder
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.receive.claim import claimed
from dicom_node.receive.incoming import DiskBudget, IncomingObject, is_uid
from dicom_node.receive.installation import installation_id
from dicom_node.receive.receiver_settings import ReceiverSettings
from dicom_node.receive.statuses import Refusal, Status
from dicom_node.receive.store import Store

_MOST_RETRIEVERS: Final = 8  # processes of the role `deliver` on one storage


class ArchiveDown(DeliveryError):
    """The archive cannot be asked now, or we cannot take anything; no study is to blame."""


@dataclass(frozen=True)
class _Open:
    """What is held from the first object on."""

    store: Store
    budget: DiskBudget
    receiver: str
    prefix: str


class Arrivals:
    """Opened with the first object, so that a database that is away keeps nothing from starting.

    Args:
        settings: the receiver's: storage, limits, AE title.
        database: where rows go.
    """

    def __init__(self, settings: ReceiverSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._held = ExitStack()
        self._open: _Open | None = None

    @property
    def max_object_bytes(self) -> int:
        """The largest object that is taken."""
        return self._settings.max_object_bytes

    def close(self) -> None:
        """Let go of the name."""
        self._open = None
        self._held.close()

    @contextmanager
    def visit(self, source: str, address: str) -> Iterator[Visit]:
        """What stands in for an association in the rows: released when the block ends, aborted when it raises.

        Args:
            source: AE title of the archive, or the name of the web destination.
            address: its host.

        Raises:
            DatabaseError: the database is away.
            ReceivingError: too many processes retrieve on this storage.
        """
        opened = self._opened()
        number = opened.store.open_association(source, self._settings.ae_title, address, opened.receiver)
        end = AssociationEnd.ABORTED
        visit = Visit(opened.store, opened.budget, opened.prefix, number)
        try:
            yield visit
            end = AssociationEnd.RELEASED
        finally:
            visit.discard()
            opened.store.end_association(number, end)

    def _opened(self) -> _Open:
        if self._open is None:
            folder = self._settings.inbox / "tmp"
            make_folder(folder)
            sync_folder(self._settings.storage)
            sync_folder(self._settings.inbox)
            rows = Inbox(self._database)
            with ExitStack() as held:
                receiver, prefix = self._claim(held, rows)
                store = held.enter_context(closing(Store(self._settings.storage, rows, prefix)))
                self._held = held.pop_all()
            budget = DiskBudget(
                folder, self._settings.max_object_bytes, self._settings.reserve_bytes, self._settings.full_percent
            )
            self._open = _Open(store, budget, receiver, prefix)
        return self._open

    def _claim(self, held: ExitStack, rows: Inbox) -> tuple[str, str]:
        """A name that no other process on this storage has, and the prefix of its files."""
        storage = self._settings.storage
        name = f"{self._settings.ae_title}:retrieve"
        for index in range(_MOST_RETRIEVERS):
            receiver = f"{name}/{index} of {installation_id(storage)}"
            try:
                prefix = held.enter_context(claimed(storage / "inbox" / "tmp", receiver, rows))
            except ReceivingError:
                continue
            return receiver, prefix
        raise ReceivingError(f"{_MOST_RETRIEVERS} processes retrieve on {storage} already: stop some of them")


class Visit:
    """Objects of one answer, one at a time."""

    def __init__(self, store: Store, budget: DiskBudget, prefix: str, association_id: int) -> None:
        self._store = store
        self._budget = budget
        self._prefix = prefix
        self._association_id = association_id
        self._incoming: IncomingObject | None = None

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> IncomingObject:
        """Take an object's data set, which is written into what this returns.

        Raises:
            Refusal: an object that is not taken.
        """
        self.discard()
        storage_class = STORAGE_CLASSES.get(sop_class_uid)
        syntax = None if storage_class is None else storage_class.transfer_syntaxes.get(transfer_syntax_uid)
        if syntax is None:
            raise Refusal(
                Status.SOP_CLASS_NOT_SUPPORTED, "an object of a class, or in a transfer syntax, of no use here"
            )
        if not is_uid(sop_instance_uid):
            raise Refusal(Status.INVALID_OBJECT_INSTANCE, "the SOP Instance UID is missing or not a UID")
        self._incoming = IncomingObject(
            self._budget.folder, self._prefix, self._budget, sop_class_uid, sop_instance_uid, syntax
        )
        return self._incoming

    def keep(self) -> None:
        """Make the object durable: when this returns, it is on disk and its row is committed.

        Raises:
            Refusal: it is not to be stored.
            ArchiveDown: there is no room.
            OSError: the disk failed.
            DatabaseError: the database failed.
        """
        incoming, self._incoming = self._incoming, None
        assert incoming is not None
        try:
            checked = incoming.finish()
        except Refusal as refusal:
            if refusal.status is Status.OUT_OF_RESOURCES:
                raise ArchiveDown(f"an object cannot be kept: {refusal.reason}") from refusal
            raise
        self._store.keep(checked, self._association_id, Priority.LOW)

    def discard(self) -> None:
        """Leave nothing of an object that did not end."""
        if self._incoming is not None:
            self._incoming.discard()
            self._incoming = None
