"""A corrected segmentation that a reader uploads is stored as one that was sent: the same checks, file and rows.

So matching, purge, backup and export know nothing of uploads. The association's calling AE title is CALLING. Who
uploads is written down before the object is: matching begins as soon as the object is there, and a kill between the two
would leave a correction of an unknown reader.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from db.inbox import Inbox
from db.records import AssociationEnd
from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES, TRANSFER_SYNTAXES
from dicom_node.node.errors import UnreadableObject
from dicom_node.node.files import make_folder
from dicom_node.node.settings import Settings
from dicom_node.receive.claim import claimed
from dicom_node.receive.elements import DataSetSummary, summarize
from dicom_node.receive.incoming import CheckedObject, DiskBudget, IncomingObject
from dicom_node.receive.installation import installation_id
from dicom_node.receive.store import Store
from dicom_node.series.dicom.part10 import Layout, layout_of

CALLING: Final = "PAGE"
_CHUNK: Final = 1024 * 1024


class AlreadyHere(Exception):
    """The node has exactly this object: its outcome is that of the first time."""


class UploadDesk:
    """Stores uploads, one at a time. Safe to use from several threads.

    Args:
        settings: the node's.
        inbox: where instances are recorded.
    """

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox
        self._lock = threading.Lock()
        self._kept_store: Store | None = None  # it has a thread of its own, so there is one

    def store(self, file: BinaryIO, size: int, announce: Callable[[str, str], object]) -> None:
        """Check and keep a file with a segmentation; when this returns, a power cut does not undo it.

        Args:
            announce: writes down who uploads it, given its SOPInstanceUID and the sha256 of the file as it will be
                stored; what it raises is raised, and nothing is stored.

        Raises:
            UnreadableObject: it is no segmentation.
            Refusal: it is damaged, or there is no room.
            AlreadyHere: the same bytes were sent or uploaded before, and are kept; nothing is announced.
            ReceivingError: another process takes an upload just now.
            OSError, DatabaseError: it could not be stored.
        """
        layout = layout_of(file)
        summary = _summary(file, size, layout)
        storage = self._settings.storage.absolute()
        folder = storage / "inbox" / "tmp"
        make_folder(folder)
        receiver = f"{CALLING} of {self._settings.ae_title}, {installation_id(storage)}"
        with self._lock, claimed(folder, receiver, self._inbox) as prefix:
            checked = self._checked(file, layout, summary, folder, prefix)
            try:
                if self._inbox.has_file(checked.summary.sop_instance_uid, checked.sha256):
                    raise AlreadyHere
                announce(checked.summary.sop_instance_uid, checked.sha256)
                store, association = self._opened(storage, receiver, prefix)
            except BaseException:
                os.close(checked.descriptor)
                Path(checked.temporary).unlink(missing_ok=True)
                raise
            try:
                store.keep(checked, association)
            finally:
                store.end_association(association, AssociationEnd.RELEASED)

    def _checked(
        self, file: BinaryIO, layout: Layout, summary: DataSetSummary, folder: Path, prefix: str
    ) -> CheckedObject:
        settings = self._settings
        budget = DiskBudget(folder, settings.max_object_bytes, settings.reserve_bytes, settings.disk_full)
        syntax = TRANSFER_SYNTAXES[layout.transfer_syntax_uid]
        incoming = IncomingObject(folder, prefix, budget, summary.sop_class_uid, summary.sop_instance_uid, syntax)
        file.seek(layout.data_set_at)
        while chunk := file.read(_CHUNK):
            incoming.write(chunk)
        return incoming.finish()

    def _opened(self, storage: Path, receiver: str, prefix: str) -> tuple[Store, int]:
        if self._kept_store is None:
            self._kept_store = Store(storage, self._inbox, prefix)
        return self._kept_store, self._kept_store.open_association(CALLING, self._settings.ae_title, "page", receiver)


def _summary(file: BinaryIO, size: int, layout: Layout) -> DataSetSummary:
    syntax = TRANSFER_SYNTAXES.get(layout.transfer_syntax_uid)
    if syntax is None or syntax.deflated:
        raise UnreadableObject(
            "transfer_syntax", "Its transfer syntax is not read here: export it as Explicit VR Little Endian."
        )

    def read_at(count: int, offset: int) -> bytes:
        file.seek(layout.data_set_at + offset)
        return file.read(count)

    summary = summarize(read_at, size - layout.data_set_at, syntax)
    if summary.sop_class_uid not in SEGMENTATION_CLASSES:
        raise UnreadableObject("not_seg", "Expected a DICOM segmentation (SEG); this is another kind of object.")
    return summary
