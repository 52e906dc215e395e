"""What a power cut would leave: of files and folders only what was flushed, whatever else the kernel had done.

Every `os.fsync` of this process is recorded: of a file its bytes, of a folder its entries, each by inode, so that what
is renamed keeps what was flushed of it. Unlike `support.power_cuts` it also sees files that are written by `open`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock


class Durable:
    """What is on the disk for sure under `root`: what is there at first, and what was flushed since."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, int]] = {}
        self.flushes = 0
        for path in (self._root, *self._root.rglob("*")):
            self._flush(path)

    def lost(self, path: Path) -> bool:
        """Whether a power cut now could take the file at `path` away, or leave other bytes than it has."""
        full, content = path.resolve(), path.read_bytes()
        folder = self._root
        for name in full.relative_to(self._root).parts:
            entries = self._folders.get(folder.stat().st_ino, {})
            folder = folder / name
            if entries.get(name) != folder.stat().st_ino:
                return True
        return self._files.get(full.stat().st_ino) != content

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what this process flushes."""
        fsync = os.fsync

        def recorded(descriptor: int) -> None:
            fsync(descriptor)
            self.flushes += 1
            self._flush(Path(f"/proc/self/fd/{descriptor}").readlink())

        with mock.patch.object(os, "fsync", recorded):
            yield

    def _flush(self, path: Path) -> None:
        if path.is_dir():
            self._folders[path.stat().st_ino] = {entry.name: entry.stat().st_ino for entry in path.iterdir()}
        else:
            self._files[path.stat().st_ino] = path.read_bytes()
