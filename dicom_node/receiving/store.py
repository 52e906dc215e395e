"""From a checked temporary file to an instance that may be acknowledged: rename, folder flushed, row committed.

The order is the promise (design.md): file fsynced (`incoming`) -> rename -> folder fsynced -> row committed -> 0x0000.
A crash between rename and row leaves a file that no row names. That is harmless: a file's name follows from what is in
it, so the resend of the same object, which the sender owes us, lands on the same name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from db.inbox import AssociationEnd, ReceivedInstance, RecordOutcome

from dicom_node.receiving.incoming import CheckedObject


class Rows(Protocol):
    """What the receiver needs of `db.inbox.Inbox`."""

    def open_association(self, calling_ae_title: str, called_ae_title: str, address: str, receiver: str) -> int:
        """Record that an association began."""

    def end_association(self, association_id: int, end: AssociationEnd) -> None:
        """Record how it ended."""

    def end_orphans(self, receiver: str) -> int | None:
        """End the associations that a killed receiver of that name left open."""

    def record(self, batch: Sequence[ReceivedInstance]) -> list[RecordOutcome]:
        """Record instances in one durable transaction."""


@dataclass
class _Waiting:
    """An instance whose thread waits for the group's commit."""

    checked: CheckedObject
    association_id: int
    relative_path: Path
    done: threading.Event = field(default_factory=threading.Event)
    outcome: RecordOutcome | None = None
    error: Exception | None = None


class Store:
    """Durable home of instances; one per receiver process, used by all its threads.

    Group commit: the thread that finds nobody committing commits for all that wait (leader); those that come meanwhile
    wait for the next round. So one association pays one commit an object, and four share it.

    With several receiver processes on SQLite, `lock_path` keeps them from meeting in the database, where the loser
    sleeps in steps of milliseconds instead of being woken.
    """

    def __init__(self, storage: Path, rows: Rows, lock_path: Path | None = None) -> None:
        self._storage = storage
        self._rows = rows
        self._writing = threading.Lock()  # one writer at a time in this process
        self._queue: list[_Waiting] = []
        self._queue_lock = threading.Lock()
        self._leading = False
        self._folders: set[Path] = set()
        self._lock_file = None if lock_path is None else lock_path.open("wb")

    def open_association(self, calling: str, called: str, address: str, receiver: str) -> int:
        """Record the beginning of an association; gives its id."""
        with self._exclusive():
            return self._rows.open_association(calling, called, address, receiver)

    def end_association(self, association_id: int, end: AssociationEnd) -> None:
        """Record the end of an association."""
        with self._exclusive():
            self._rows.end_association(association_id, end)

    def keep(self, checked: CheckedObject, association_id: int) -> RecordOutcome:
        """Make an object durable; when this returns, it may be acknowledged.

        Raises:
            OSError: the disk failed; no file and no row is left.
            Exception: the database failed; the sender has to send again.
        """
        waiting = _Waiting(checked, association_id, instance_path(checked))
        with self._queue_lock:
            self._queue.append(waiting)
            lead = not self._leading
            self._leading = True
        if lead:
            self._lead(waiting)
        else:
            waiting.done.wait()
            if waiting.outcome is None and waiting.error is None:  # woken to lead the next round
                self._lead(waiting)
        if waiting.error is not None:
            raise waiting.error
        assert waiting.outcome is not None
        return waiting.outcome

    def _lead(self, own: _Waiting) -> None:
        with self._queue_lock:
            batch, self._queue = self._queue, []
        try:
            self._commit(batch)
        except Exception as error:  # the edge between one thread's failure and the others that wait for it
            for waiting in batch:
                if waiting.outcome is None and waiting.error is None:
                    waiting.error = error
        with self._queue_lock:
            successor = self._queue[0] if self._queue else None
            self._leading = successor is not None
        for waiting in batch:
            if waiting is not own:
                waiting.done.set()
        if successor is not None:
            successor.done.set()

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        moved = [waiting for waiting in batch if self._move(waiting)]
        for folder in {(self._storage / waiting.relative_path).parent for waiting in moved}:
            sync_folder(folder)
        if not moved:
            return
        with self._exclusive():
            outcomes = self._rows.record([_instance(waiting) for waiting in moved])
        for waiting, outcome in zip(moved, outcomes, strict=True):
            waiting.outcome = outcome

    def _move(self, waiting: _Waiting) -> bool:
        target = self._storage / waiting.relative_path
        try:
            self._make_folder(target.parent)
            waiting.checked.temporary.rename(target)
        except OSError as error:
            waiting.error = error
            with contextlib.suppress(OSError):
                waiting.checked.temporary.unlink(missing_ok=True)
            return False
        return True

    def _make_folder(self, folder: Path) -> None:
        """Make a series' folder, durable up to the inbox."""
        if folder in self._folders and folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)
        if len(self._folders) > 4096:  # only a cache of what is known to be on disk
            self._folders.clear()
        self._folders.add(folder)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._writing:
            if self._lock_file is None:
                yield
                return
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)


def instance_path(checked: CheckedObject) -> Path:
    """Where an instance lies, relative to the storage folder.

    inbox/<2 hex>/<62 hex of sha256(Series Instance UID)>/<16 of sha256(SOP Instance UID)>-<16 of the file's>.dcm: the
    same bytes always have the same name, other bytes of the same instance another one.
    """
    series = hashlib.sha256(checked.summary.series_instance_uid.encode()).hexdigest()
    instance = hashlib.sha256(checked.summary.sop_instance_uid.encode()).hexdigest()
    return Path("inbox", series[:2], series[2:], f"{instance[:16]}-{checked.sha256[:16]}.dcm")


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _instance(waiting: _Waiting) -> ReceivedInstance:
    summary = waiting.checked.summary
    return ReceivedInstance(
        sop_instance_uid=summary.sop_instance_uid,
        sop_class_uid=summary.sop_class_uid,
        series_instance_uid=summary.series_instance_uid,
        study_instance_uid=summary.study_instance_uid,
        transfer_syntax_uid=waiting.checked.transfer_syntax_uid,
        path=waiting.relative_path.as_posix(),
        sha256=waiting.checked.sha256,
        size_bytes=waiting.checked.size_bytes,
        association_id=waiting.association_id,
    )
