"""One object on its way to disk: a temporary file, its digest, and the checks before it may be acknowledged."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dicom_node.node.dicom_uids import TransferSyntax
from dicom_node.node.disk import DiskUse
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.receive.elements import DataSetSummary, inflate, summarize
from dicom_node.receive.part10 import file_header
from dicom_node.receive.statuses import Refusal, Status

_COUNTER = itertools.count()
_OWNER_AND_GROUP = 0o640

# An object asks for room in steps, since others grow beside it: of what is left, each step is so small a part that all
# who may be there at once (50 associations) cannot take more than all of it.
_LARGEST_STEP = 16 * 1024 * 1024
_SMALLEST_STEP = 64 * 1024
_STEPS = 64


@dataclass(frozen=True)
class DiskBudget:
    """How much may be written: sizes in bytes.

    `reserve_bytes` of free disk are left to the database and to results; where `full_percent` of the disk leaves more,
    that counts.
    """

    folder: Path
    max_object_bytes: int
    reserve_bytes: int
    full_percent: float = 100.0

    @property
    def is_spent(self) -> bool:
        """Whether the disk has no room for even a small image, nor for what the node writes itself."""
        return DiskUse.of(self.folder).free_bytes < _SMALLEST_STEP

    def reserve(self, written: int, wanted: int) -> int:
        """How large a file that has `written` bytes may become before it asks again; at least `wanted`.

        Raises:
            Refusal: 0xA700, it may not become as large as `wanted`.
        """
        if wanted > self.max_object_bytes:
            reason = f"the object is larger than the limit of {self.max_object_bytes} bytes"
            raise Refusal(Status.OUT_OF_RESOURCES, reason)
        left = DiskUse.of(self.folder).bytes_until(self.full_percent, self.reserve_bytes)
        if left <= 0 or written + left < wanted:
            raise Refusal(Status.OUT_OF_RESOURCES, "no space left on the disk")
        step = min(_LARGEST_STEP, max(_SMALLEST_STEP, left // _STEPS))
        return min(max(wanted, written + step), self.max_object_bytes)


class _Spool:
    """A file that grows only as far as there is room."""

    def __init__(self, file: IO[bytes], budget: DiskBudget) -> None:
        self._file = file
        self._budget = budget
        self._written = self._reserved = 0

    def write(self, data: bytes) -> None:
        """Append; raises the Refusal of `DiskBudget.reserve`."""
        total = self._written + len(data)
        if total > self._reserved:
            self._reserved = self._budget.reserve(self._written, total)
        self._file.write(data)
        self._written = total


@dataclass(frozen=True)
class CheckedObject:
    """A whole object in a temporary file, not flushed yet, whose structure and UIDs are right.

    `descriptor` is open on the file; the receiver of the object closes it.
    """

    temporary: str
    descriptor: int
    sha256: str
    size_bytes: int
    summary: DataSetSummary
    transfer_syntax_uid: str


class IncomingObject:
    """Takes the fragments of one data set.

    A failure (disk full, object too large) is kept until the end: the sender must be read to its last fragment before
    it gets the status. The temporary file goes away at once.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        budget: DiskBudget,
        sop_class_uid: str,
        sop_instance_uid: str,
        syntax: TransferSyntax,
    ) -> None:
        self._sop_class_uid = sop_class_uid
        self._sop_instance_uid = sop_instance_uid
        self._syntax = syntax
        self._budget = budget
        self.received_bytes = 0
        self.failure: BaseException | None = None
        self._digest = hashlib.sha256()
        self._descriptor = -1
        self._folder = folder
        self._path = f"{folder}/{prefix}{next(_COUNTER)}.part"
        self._header = file_header(sop_class_uid, sop_instance_uid, syntax.uid)
        try:
            self._reserved = budget.reserve(0, 0)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, _OWNER_AND_GROUP)
            self._write(self._header)
        except (OSError, Refusal) as error:
            self._fail(error)

    def write(self, fragment: memoryview | bytes) -> None:
        """Append a fragment; never raises, see `failure`."""
        self.received_bytes += len(fragment)
        if self.failure is not None:
            return
        try:
            if self.received_bytes > self._reserved:
                self._reserved = self._budget.reserve(self.received_bytes - len(fragment), self.received_bytes)
            self._write(fragment)
        except (OSError, Refusal) as error:
            self._fail(error)

    def finish(self) -> CheckedObject:
        """Check the object.

        Raises:
            Refusal: not to be stored, with the status for the sender; no file is left.
            OSError: the disk failed; no file is left.
        """
        try:
            if self.failure is not None:
                raise self.failure
            summary = self._summarize()
            try:
                self._compare(summary)
            except Refusal as refusal:
                refusal.series_instance_uid = summary.series_instance_uid
                raise
        except BaseException:
            self.discard()
            raise
        descriptor, self._descriptor = self._descriptor, -1
        return CheckedObject(
            temporary=self._path,
            descriptor=descriptor,
            sha256=self._digest.hexdigest(),
            size_bytes=len(self._header) + self.received_bytes,
            summary=summary,
            transfer_syntax_uid=self._syntax.uid,
        )

    def discard(self) -> None:
        """Leave nothing behind; may be called at any time before `finish` has succeeded."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - as everywhere on this path: no Path object for every fragment

    def _write(self, data: memoryview | bytes) -> None:
        self._digest.update(data)
        done = os.write(self._descriptor, data)
        while done < len(data):  # a disk that fills up takes a part first
            done += os.write(self._descriptor, data[done:])

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self.discard()

    def _summarize(self) -> DataSetSummary:
        descriptor, skip = self._descriptor, len(self._header)
        if not self._syntax.deflated:
            return summarize(lambda size, at: os.pread(descriptor, size, at + skip), self.received_bytes, self._syntax)
        with tempfile.TemporaryFile(dir=self._folder) as plain:
            length = inflate(
                lambda size, at: os.pread(descriptor, size, at + skip), self.received_bytes, _Spool(plain, self._budget)
            )
            plain.flush()
            return summarize(lambda size, at: os.pread(plain.fileno(), size, at), length, self._syntax)

    def _compare(self, summary: DataSetSummary) -> None:
        """Refuse what does not match: PS3.4 table B.2-1, 0xA900."""
        for name, came, expected in (
            ("SOP Class UID", summary.sop_class_uid, self._sop_class_uid),
            ("SOP Instance UID", summary.sop_instance_uid, self._sop_instance_uid),
        ):
            if came != expected:
                detail = "the data set has none" if not came else "the data set has another value than the command"
                raise Refusal(Status.DATA_SET_DOES_NOT_MATCH, f"{name}: {detail}")
        if not is_uid(summary.series_instance_uid) or not is_uid(summary.study_instance_uid):
            raise Refusal(Status.DATA_SET_DOES_NOT_MATCH, "Study or Series Instance UID is missing or not a UID")
        if STORAGE_CLASSES[self._sop_class_uid].is_read:
            self._require_pixels(summary)

    def _require_pixels(self, summary: DataSetSummary) -> None:
        if not summary.has_pixel_data:
            raise Refusal(Status.DATA_SET_DOES_NOT_MATCH, "an image without pixel data")
        wanted, found = summary.expected_pixel_bytes, summary.pixel_bytes
        if not self._syntax.encapsulated and wanted is not None and found is not None and found < wanted:
            raise Refusal(Status.CANNOT_UNDERSTAND, f"pixel data is cut off: expected {wanted} bytes, got {found}")


def is_uid(text: str) -> bool:
    """Digits and dots, 1 to 64 characters (PS3.5 9.1); leading zeros in a component occur and are let through."""
    return 0 < len(text) <= 64 and text.replace(".", "").isdigit() and text.isascii()
