"""The files that an evaluation or comparison ends with: room for them is asked for before hours of work."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from training.errors import NotSaved
from training.files import ask_for_room, write_whole

# A report with all its figures has a few MB, and cases.csv of 10,000 cases as much again.
ROOM_BYTES: Final = 32 * 2**20


def prepare_folder(folder: Path) -> None:
    """Make a folder for a report, and see that one has room there.

    Raises:
        NotSaved: it cannot be made or written, or has less than `ROOM_BYTES`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ask_for_room(folder, ROOM_BYTES)
    except OSError as error:
        raise NotSaved(
            f"{folder}: expected a folder with room for a report ({ROOM_BYTES // 2**20} MB), got {error.strerror}; "
            "free some space or choose another --out. Nothing was scored yet"
        ) from error


def write_report_file(path: Path, text: str) -> None:
    """Write a file of a report, whole or not at all.

    Raises:
        NotSaved: the disk is full or failing; what was there before still is.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise NotSaved(
            f"{path} could not be written ({error.strerror}); free some space and run the same command again"
        ) from error
