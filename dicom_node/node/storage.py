"""STORAGE as something that can go away: a mount that is lost, a disk that is full.

Such a fault says nothing about a series or a job, so neither may be rejected because of it.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from db.engine import open_database
from db.engine.schema_version import check
from db.errors import DatabaseUnavailable
from db.inbox import Inbox
from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.files import make_folder, sync_file

INBOX = "inbox"
OUTBOX = "outbox"
UNFINISHED = "unfinished"
# A result set and what other programs write meanwhile.
_ROOM_BYTES = 32 * 1024**2
# Errors of the disk itself. EIO is not among them: one bad sector must not stop every job, and the probe finds it.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


# The receiver makes them when it first starts.
_RECEIVED_HERE = "installation"
_SIGNS_OF_USE = (_RECEIVED_HERE, INBOX)
_LOOKED_FOR = 20


def require_storage(storage: Path, database_url: str) -> None:
    """At a role's start, before any folder is made: refuse an empty folder where the database knows files.

    Such a folder is the mount point of a disk that is not mounted. To go on would fill the disk below it, and call
    every known series damaged.

    Raises:
        ConfigurationError: says what to do.
    """
    if any((storage / sign).exists() for sign in _SIGNS_OF_USE):
        return
    known = _newest_paths(database_url)
    if not known or any((storage / path).exists() for path in known):
        return
    raise ConfigurationError(
        f"STORAGE {storage} is empty, but the database knows received files: expected them there, as {known[0]}. "
        "A disk may not be mounted, or STORAGE may name another folder than before: mount it, or correct "
        f"WMH_NODE_STORAGE. If the files are lost, make the folder {storage / INBOX} and start again"
    )


def require_copies(storage: Path) -> None:
    """At the start of a role on a machine that only analyses: refuse a folder that a receiver keeps its files in.

    Copies go from it after a day. What was received would go too, and may be nowhere else.

    Raises:
        ConfigurationError: says what to do.
    """
    if (storage / _RECEIVED_HERE).exists():
        raise ConfigurationError(
            f"STORAGE {storage} is that of a machine that receives (it has the file {_RECEIVED_HERE}): expected a "
            "folder for copies, which go after a day, since OBJECT_STORE is set and WORK=analyse. Name another folder "
            "in WMH_NODE_STORAGE; machines that share this one need no OBJECT_STORE"
        )


def _newest_paths(database_url: str) -> list[str]:
    """Empty also when there is no database yet: its own errors are reported elsewhere."""
    try:
        if not check(database_url).is_current:
            return []
        with closing(open_database(database_url)) as database:
            return Inbox(database).newest_paths(_LOOKED_FOR)
    except DatabaseUnavailable:
        return []


def why_full(error: BaseException | None) -> str | None:
    """What the disk says, where an error or one of its causes says that it takes nothing more; else None."""
    full = next((cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno in _FULL), None)
    return None if full is None else os.strerror(full.errno or 0)


class StorageProbe:
    """Whether STORAGE can be used now.

    Args:
        storage: the folder; `outbox/unfinished` in it is made when missing, and distinguishes a mount that was lost
            later from an empty folder.
        beside: why no result can be kept beside STORAGE, as in an object store; asked by `trouble` alone.
    """

    def __init__(self, storage: Path, beside: Callable[[], str | None] = lambda: None) -> None:
        self._folder = storage / OUTBOX / UNFINISHED
        self._beside = beside
        make_folder(self._folder)

    def away(self) -> str | None:
        """Why nothing can be read; None when it can."""
        try:
            next(self._folder.iterdir(), None)
        except OSError as error:
            return f"the storage is not available: {self._folder}: {os.strerror(error.errno or 0)}"
        return None

    def require_there(self) -> None:
        """As `away`, for a step that ends with it.

        Raises:
            StorageTrouble: nothing can be read.
        """
        if (trouble := self.away()) is not None:
            raise StorageTrouble(trouble)

    def trouble(self, error: BaseException | None = None) -> str | None:
        """Why no result can be written; None when it can.

        Args:
            error: what a step ran into; its causes are looked at too.
        """
        if (full := why_full(error)) is not None:
            return f"the storage is not writable: {full}"
        return self.away() or self._no_room() or self._beside()

    def require(self, error: BaseException | None = None) -> None:
        """As `trouble`, for a step that ends with it.

        Raises:
            StorageTrouble: no result can be written.
        """
        if (trouble := self.trouble(error)) is not None:
            raise StorageTrouble(trouble) from error

    def _no_room(self) -> str | None:
        try:
            with tempfile.TemporaryFile(dir=self._folder) as probe:
                os.posix_fallocate(probe.fileno(), 0, _ROOM_BYTES)
                sync_file(probe.fileno())
        except OSError as error:
            return f"the storage is not writable: {os.strerror(error.errno or 0)}"
        return None


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
