"""Power cuts without a machine: what of a program's file operations is on disk for sure, whatever the kernel had done.

The operations of `os` are recorded as they happen, for one folder. A file's bytes are on disk once it was flushed; an
entry is once its folder was flushed. Until then the entry may be the old or any later one, in whatever order the disk
writes them. `lost` looks at every such disk at once: a path is safe when each entry that may be there, and those of the
folders above it, leads to a file that is on disk with the right bytes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock


@dataclass
class _File:
    """Bytes as written, and as they are on disk for sure."""

    written: bytearray = field(default_factory=bytearray)
    on_disk: bytes | None = None


class Disk:
    """What may be on the disk under `root`; use `recording`."""

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - no Path: it would call what is recorded
        self._lock = threading.RLock()
        self._entries: dict[str, list[_File | None]] = {}  # path -> what its entry may be, the present one last
        self._open: dict[int, str | _File] = {}
        self.operations = 0

    def lost(self, path: str, content: bytes) -> bool:
        """Whether a power cut now could take the file at `path` away, or leave other bytes."""
        full = os.path.abspath(path)  # noqa: PTH100
        with self._lock:
            above = os.path.dirname(full)  # noqa: PTH120
            while above != self._root:
                if None in self._entries.get(above, []):
                    return True
                above = os.path.dirname(above)  # noqa: PTH120
            return any(entry is None or entry.on_disk != content for entry in self._entries.get(full, [None]))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what this process does to files under the root."""
        with mock.patch.multiple(os, **{name: self._around(name, getattr(os, name)) for name in _RECORDED}):
            yield

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any, **keywords: Any) -> Any:
            with self._lock:
                result = call(*arguments, **keywords)
                getattr(self, f"_{name}")(result, *arguments)
                self.operations += 1
                return result

        return recorded

    def _inside(self, path: Any) -> str | None:
        full = os.path.abspath(os.fspath(path))  # noqa: PTH100
        return full if full.startswith(self._root) else None

    def _set(self, path: Any, value: _File | None) -> None:
        if (full := self._inside(path)) is not None:
            self._entries.setdefault(full, [None]).append(value)

    def _present(self, path: Any) -> _File | None:
        full = self._inside(path)
        return None if full is None else self._entries.get(full, [None])[-1]

    def _open_(self, descriptor: int, path: Any, flags: int) -> None:
        if (full := self._inside(path)) is None:
            return
        if flags & os.O_DIRECTORY:
            self._open[descriptor] = full
            return
        if flags & os.O_CREAT and self._present(path) is None:
            self._set(path, _File())
        if (file := self._present(path)) is not None:
            self._open[descriptor] = file

    def _write(self, count: int, descriptor: int, data: Any) -> None:
        if isinstance(file := self._open.get(descriptor), _File):
            file.written += bytes(data[:count])

    def _fsync(self, _result: None, descriptor: int) -> None:
        match self._open.get(descriptor):
            case _File() as file:
                file.on_disk = bytes(file.written)
            case str() as folder:
                for path, may_be in self._entries.items():
                    if os.path.dirname(path) == folder:  # noqa: PTH120
                        del may_be[:-1]

    def _close(self, _result: None, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _link(self, _result: None, source: Any, target: Any) -> None:
        self._set(target, self._present(source))

    def _mkdir(self, _result: None, path: Any, *_: Any) -> None:
        self._set(path, _File())

    def _unlink(self, _result: None, path: Any) -> None:
        self._set(path, None)

    def _replace(self, _result: None, source: Any, target: Any) -> None:
        self._set(target, self._present(source))
        self._set(source, None)


# `_open` is the table of descriptors, so that the recorder of os.open bears another name.
_RECORDED = ("write", "fsync", "close", "link", "mkdir", "unlink", "replace")


@contextmanager
def power_may_fail(root: str) -> Iterator[Disk]:
    """Record this process's file operations under `root` while the block lasts."""
    disk = Disk(root)
    opened = os.open

    def recorded_open(path: Any, flags: int, *arguments: Any, **keywords: Any) -> int:
        with disk._lock:
            descriptor = opened(path, flags, *arguments, **keywords)
            disk._open_(descriptor, path, flags)
            return descriptor

    with disk.recording(), mock.patch.object(os, "open", recorded_open):
        yield disk
