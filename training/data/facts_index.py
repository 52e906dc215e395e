"""Facts of cases kept in one file, so that thousands of images are read and checked once, not at each start."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from training.data.case_facts import CaseFacts
from training.errors import NotSaved
from training.files import write_whole

_SCHEMA: Final = 1
# A killed start goes on from here; each save writes the whole file.
_SAVE_EVERY: Final = 200

FileStates = list[list[Any]]
"""Name, size and time of change of each file of a case."""


class FactsIndex:
    """Facts by the case's path. A case counts as known while no file of it was replaced, changed, added or removed.

    The file holds names of folders, no patient. One that cannot be read, or that another version of this software
    wrote, which may read an image in another way, is replaced by a new one.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Read what is there; None: keep nothing on disk."""
        self._file = file
        self._entries: dict[str, dict[str, Any]] = {}
        self._unsaved = 0
        if file is not None and file.exists():
            self._entries = _read(file)

    def facts_of(self, path: Path) -> CaseFacts | None:
        """None when they are not known, or the case changed since."""
        entry = self._entries.get(str(path.resolve()))
        if entry is None or entry["files"] != states_of(path):
            return None
        try:
            return CaseFacts.from_json(entry["facts"])
        except (KeyError, TypeError, ValueError):
            return None

    def add(self, path: Path, facts: CaseFacts, states: FileStates) -> None:
        """Keep the facts of a case.

        Args:
            path: its file or folder.
            facts: what was read.
            states: `states_of` it before it was read, so that a change meanwhile counts as one.

        Raises:
            NotSaved: see `save`.
        """
        self._entries[str(path.resolve())] = {"files": states, "facts": facts.as_json()}
        self._unsaved += 1
        if self._unsaved >= _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write what is new to disk.

        Raises:
            NotSaved: it cannot be written.
        """
        if self._file is not None and self._unsaved:
            document = {"schema": _SCHEMA, "software": _software(), "cases": self._entries}
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._file, json.dumps(document, ensure_ascii=False) + "\n")
            except OSError as error:
                raise NotSaved(
                    f"{self._file.parent.name}/{self._file.name} could not be written ({error.strerror or error}); "
                    "free some space and run the same command again"
                ) from error
        self._unsaved = 0


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if (document["schema"], document["software"]) != (_SCHEMA, _software()):
            return {}
        return {
            str(path): {"files": entry["files"], "facts": entry["facts"]} for path, entry in document["cases"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _software() -> str:
    return version("wmh-node")


def states_of(path: Path) -> FileStates:
    """Of a file, or of all files of a folder."""
    files = sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]
    states = [(str(found.relative_to(path)), found.stat()) for found in files]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in states]
