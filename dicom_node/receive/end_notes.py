"""Notes of ends of associations that the database does not have yet: they outlive this process.

An end that is lost with the process holds its series back for a minute in place of seconds: all that the next start
knows is that the association was open. So each end is an empty file, whose name says all, until its row is committed.
It is there before the database is asked (kill -9), and on the disk when the database is away (power cut).
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Final

from db.records import AssociationEnd
from dicom_node.node.files import sync_folder
from dicom_node.node.logger import get_logger

_LOG = get_logger()

_SUFFIX: Final = ".end"
_NAME: Final = re.compile(rf"([0-9]+)\.({'|'.join(AssociationEnd)}){re.escape(_SUFFIX)}")


class EndNotes:
    """Of one receiver process. A disk that takes no note takes no objects either: the end is then known here alone.

    Args:
        folder: where unfinished objects lie too.
        prefix: of this receiver's files there.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix

    def write(self, association_id: int, end: AssociationEnd) -> None:
        """Note an end; on the disk after `flush`."""
        with contextlib.suppress(OSError):
            self._path(association_id, end).touch()

    def flush(self) -> None:
        """Push the notes to the disk."""
        try:
            sync_folder(self._folder)
        except OSError as error:
            _LOG.warning("ends of associations are not on disk", reason=error.strerror)

    def remove(self, association_id: int, end: AssociationEnd) -> None:
        """The end is recorded. A note that stays is about an association that has ended, and changes nothing."""
        with contextlib.suppress(OSError):
            self._path(association_id, end).unlink(missing_ok=True)

    def left(self) -> dict[int, AssociationEnd]:
        """Ends that a process of this name noted and did not record."""
        return {number: end for file in self._files() for number, end in _read(file.name[len(self._prefix) :])}

    def clear(self) -> None:
        """All that were left are recorded."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._prefix}*{_SUFFIX}"))

    def _path(self, association_id: int, end: AssociationEnd) -> Path:
        return self._folder / f"{self._prefix}{association_id}.{end.value}{_SUFFIX}"


def _read(name: str) -> list[tuple[int, AssociationEnd]]:
    """What a note's name says; nothing of a file that is no note."""
    found = _NAME.fullmatch(name)
    return [] if found is None else [(int(found[1]), AssociationEnd(found[2]))]
