"""What the code under test does to the disk, in order: folders made, things renamed, and what was flushed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


class Flushes:
    """Watches `os.mkdir`, `os.rename` and `os.fsync` of this process while a test runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        """("made", path), ("renamed", new path) or ("flushed", path), symlinks resolved"""
        fsync, mkdir, rename = os.fsync, os.mkdir, os.rename

        def watched_fsync(descriptor: Any) -> None:
            fsync(descriptor)
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            self.events.append(("flushed", os.readlink(f"/proc/self/fd/{number}")))  # noqa: PTH115

        def watched_mkdir(path: Any, *arguments: Any, **keywords: Any) -> None:
            mkdir(path, *arguments, **keywords)
            self.events.append(("made", str(Path(path).resolve())))

        def watched_rename(source: Any, target: Any, **keywords: Any) -> None:
            rename(source, target, **keywords)
            self.events.append(("renamed", str(Path(target).resolve())))

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "mkdir", watched_mkdir)
        monkeypatch.setattr(os, "rename", watched_rename)

    def made_and_not_flushed(self) -> list[str]:
        """Folders whose entry in the folder above was not flushed after they were made."""
        return [
            path
            for at, (what, path) in enumerate(self.events)
            if what == "made" and ("flushed", str(Path(path).parent)) not in self.events[at:]
        ]
