"""From a checked temporary file to an instance that may be acknowledged.

All of this has happened before 0x0000 leaves: the file is flushed, it has its final name, the folder with
that name is flushed, and its row is committed.

| crash or power cut after | what is left | harmless because |
|---|---|---|
| a part of the data set | a temporary file | removed at the next start; the sender had no answer and sends again |
| the final name | a file, whole or not, that no row names | a name follows from the content: the resend replaces it |
| the row | the instance | the resend is a duplicate |

The final name comes before the flush, so that file and folder are flushed side by side (on most disks a flush is what
an object costs). Only when the name exists already, flush and rename keep their usual order: the file that lies there
may have been acknowledged, and must not be replaced by one that a power cut can still take away.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from db.records import AssociationEnd, Priority, ReceivedInstance, RecordOutcome
from dicom_node.node.files import sync_file, sync_folder
from dicom_node.node.inbox_gate import storing
from dicom_node.receive.end_notes import EndNotes
from dicom_node.receive.incoming import CheckedObject
from dicom_node.receive.pending_ends import PendingEnds


class Rows(Protocol):
    """What the receiver needs of `db.inbox.Inbox`."""

    def open_association(self, calling_ae_title: str, called_ae_title: str, address: str, receiver: str) -> int:
        """Record that an association began."""

    def end_association(self, association_id: int, end: AssociationEnd) -> None:
        """Record how it ended."""

    def end_orphans(self, receiver: str, known: Mapping[int, AssociationEnd]) -> int:
        """End the associations that a killed receiver of that name left open."""

    def record(self, batch: Sequence[ReceivedInstance]) -> list[RecordOutcome]:
        """Record instances in one durable transaction."""

    def note_refused(self, series_instance_uid: str, sop_instance_uid: str, reason: str, association_id: int) -> None:
        """Remember an object that was refused for what it is."""

    def require_answer(self) -> None:
        """Raise unless the database answers and has the tables."""


@dataclass
class _Waiting:
    """An instance whose thread waits for the group's commit."""

    instance: ReceivedInstance
    done: threading.Event = field(default_factory=threading.Event)
    outcome: RecordOutcome | None = None
    error: Exception | None = None


class Store:
    """Durable home of instances; one per receiver process, used by all its threads.

    Group commit: the first thread without a running commit commits for all that wait (leader); those that come
    meanwhile wait for the next round. So one association pays one commit an object, and four share it.

    With several receiver processes on SQLite, `lock_path` keeps them from meeting in the database, where the loser
    sleeps in steps of milliseconds instead of being woken.

    Args:
        storage: folder of the node.
        rows: where instances and associations are recorded.
        prefix: of this process's files among the unfinished objects, see `claimed`.
        lock_path: see above; None for one process.
    """

    def __init__(self, storage: Path, rows: Rows, prefix: str, lock_path: Path | None = None) -> None:
        self._storage = str(storage)
        self._rows = rows
        self._folders = _Folders()
        self._writing = threading.Lock()  # one writer at a time in this process
        self._queue: list[_Waiting] = []
        self._queue_lock = threading.Lock()
        self._leading = False
        self._lock_file = None if lock_path is None else lock_path.open("wb")
        self._pending_ends = PendingEnds(self._end, EndNotes(storage / "inbox" / "tmp", prefix))

    def close(self) -> None:
        """Record what is still to be recorded, as far as the database answers."""
        self._pending_ends.close()

    def open_association(self, calling: str, called: str, address: str, receiver: str) -> int:
        """Record the beginning of an association; gives its id."""
        with self.exclusive():
            return self._rows.open_association(calling, called, address, receiver)

    def end_association(self, association_id: int, end: AssociationEnd) -> None:
        """Record the end of an association; later, when the database is away.

        Raises:
            Exception: it is away, and the end will be recorded once it is back, or at the next start.
        """
        self._pending_ends.end(association_id, end)

    def note_refused(self, series: str, instance: str, reason: str, association_id: int) -> None:
        """Remember that a series lacks an object that was refused."""
        with self.exclusive():
            self._rows.note_refused(series, instance, reason, association_id)

    def _end(self, association_id: int, end: AssociationEnd) -> None:
        with self.exclusive():
            self._rows.end_association(association_id, end)

    def keep(self, checked: CheckedObject, association_id: int, priority: Priority = Priority.MEDIUM) -> RecordOutcome:
        """Make an object durable; when this returns, it may be acknowledged. Closes the object's descriptor.

        Raises:
            OSError: the disk failed; no row is left.
            Exception: the database failed; the sender has to send again.
        """
        relative_path = instance_path(checked)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(storing(self._storage, relative_path))
                self._place(checked, f"{self._storage}/{relative_path}")
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(checked.temporary)  # noqa: PTH108
                raise
            finally:
                os.close(checked.descriptor)
            return self._record(_instance(checked, relative_path, association_id, priority))

    def _place(self, checked: CheckedObject, target: str) -> None:
        """Give the file its final name and flush file and folder."""
        folder = target.rpartition("/")[0]
        self._folders.make(folder)
        try:
            os.link(checked.temporary, target)
        except OSError:  # the name exists, or the file system has no links
            sync_file(checked.descriptor)
            os.replace(checked.temporary, target)  # noqa: PTH105
            self._folders.flush(folder)
            return
        os.unlink(checked.temporary)  # noqa: PTH108
        with self._folders.flushing(folder):
            sync_file(checked.descriptor)

    # Group commit

    def _record(self, instance: ReceivedInstance) -> RecordOutcome:
        waiting = _Waiting(instance)
        with self._queue_lock:
            self._queue.append(waiting)
            lead = not self._leading
            self._leading = True
        if not lead:
            waiting.done.wait()
            lead = waiting.outcome is None and waiting.error is None  # woken to lead the next round
        if lead:
            self._lead(waiting)
        if waiting.error is not None:
            raise waiting.error
        assert waiting.outcome is not None
        return waiting.outcome

    def _lead(self, own: _Waiting) -> None:
        """Commit for all that wait, `own` among them, and wake them; one of those that came meanwhile leads next."""
        with self._queue_lock:
            batch, self._queue = self._queue, []
        try:
            with self.exclusive():
                outcomes = self._rows.record([waiting.instance for waiting in batch])
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome = outcome
        except Exception as error:  # the edge between one thread's failure and the others that wait for it
            for waiting in batch:
                waiting.error = error
        with self._queue_lock:
            successor = self._queue[0] if self._queue else None
            self._leading = successor is not None
        for waiting in batch:
            if waiting is not own:
                waiting.done.set()
        if successor is not None:
            successor.done.set()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """One writer to the database at a time."""
        with self._writing:
            if self._lock_file is None:
                yield
                return
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)


class _Flush:
    """A flush of a folder that was asked for."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.error: OSError | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def finish(self, error: OSError | None) -> None:
        """Wake the threads that wait."""
        self.error = error
        self._done.release()

    def wait(self) -> None:
        """Wait until the folder is on disk.

        Raises:
            OSError: it could not be flushed.
        """
        self._done.acquire()
        if self.error is not None:
            raise self.error


class _Folders:
    """Makes and flushes the folders of series.

    On a slow disk a thread flushes, beside the flush of the file, and one flush serves all who asked before it began.
    On a fast one waking a thread costs more than the flush, so it is done in place.
    """

    _MOST_KNOWN = 64
    _SLOW_SECONDS = 0.0005

    def __init__(self) -> None:
        self._made: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._asked: SimpleQueue[_Flush] = SimpleQueue()
        self._usual_seconds = 0.0  # of a flush, lately
        threading.Thread(target=self._flush_all, name="folder flush", daemon=True).start()

    def make(self, folder: str) -> None:
        """Make a series' folder, durable up to the inbox."""
        with self._lock:
            if folder in self._made and os.path.isdir(folder):  # noqa: PTH112
                return
            path = Path(folder)
            path.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
            self._made[folder] = None
            if len(self._made) > self._MOST_KNOWN:
                self._made.popitem(last=False)

    def flush(self, folder: str) -> None:
        """Flush `folder`."""
        began = time.perf_counter()
        sync_folder(folder)
        self._usual_seconds += 0.1 * (time.perf_counter() - began - self._usual_seconds)

    @contextlib.contextmanager
    def flushing(self, folder: str) -> Iterator[None]:
        """Flush `folder` beside the block, or after it; it is on disk when the block has ended."""
        if self._usual_seconds < self._SLOW_SECONDS:
            yield
            self.flush(folder)
            return
        flush = _Flush(folder)
        self._asked.put(flush)
        yield
        flush.wait()

    def _flush_all(self) -> None:
        while True:
            asked = [self._asked.get()]
            with contextlib.suppress(Empty):
                while True:
                    asked.append(self._asked.get_nowait())
            for folder in {flush.folder for flush in asked}:
                error: OSError | None = None
                try:
                    self.flush(folder)
                except OSError as caught:
                    error = caught
                for flush in asked:
                    if flush.folder == folder:
                        flush.finish(error)


def instance_path(checked: CheckedObject) -> str:
    """Where an instance lies, relative to the storage folder, in POSIX form.

    inbox/<2 hex>/<62 hex of sha256(Series Instance UID)>/<16 of sha256(SOP Instance UID)>-<sha256 of the file>.dcm: the
    same bytes always have the same name, other bytes another one, also when crafted on purpose.
    """
    series = hashlib.sha256(checked.summary.series_instance_uid.encode()).hexdigest()
    instance = hashlib.sha256(checked.summary.sop_instance_uid.encode()).hexdigest()
    return f"inbox/{series[:2]}/{series[2:]}/{instance[:16]}-{checked.sha256}.dcm"


def _instance(checked: CheckedObject, relative_path: str, association_id: int, priority: Priority) -> ReceivedInstance:
    summary = checked.summary
    return ReceivedInstance(
        sop_instance_uid=summary.sop_instance_uid,
        sop_class_uid=summary.sop_class_uid,
        series_instance_uid=summary.series_instance_uid,
        study_instance_uid=summary.study_instance_uid,
        transfer_syntax_uid=checked.transfer_syntax_uid,
        path=relative_path,
        sha256=checked.sha256,
        size_bytes=checked.size_bytes,
        association_id=association_id,
        priority=priority,
    )
