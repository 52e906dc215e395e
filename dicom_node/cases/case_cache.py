"""The folder of converted cases: only ours, so that no other file is ever removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.files import make_folder, sync_file, sync_folder

# Marks the folder as ours, and is locked while a process fills it.
_MARKER: Final = ".wmh-node-cases"
# What the converted case was made of.
_SOURCE: Final = "source.sha256"
_PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class CaseCache:
    """Case folders made from others, and links to those that are used as they are."""

    folder: Path

    @contextmanager
    def opened(self, data: Path) -> Iterator[None]:
        """Make the folder or take the one of the last time; a second process waits until the first has filled it.

        Raises:
            ConfigurationError: the folder holds other files, or the data itself.
        """
        self._refuse_others(data)
        make_folder(self.folder)
        with (self.folder / _MARKER).open("a") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            for leftover in self.folder.glob(f".*{_PARTIAL}"):  # left by a kill: no other process works here now
                _remove(leftover)
            yield

    def keep_only(self, names: Set[str]) -> None:
        """A case that is gone from the data is gone from here too."""
        for path in self.folder.iterdir():
            if path.name not in names and not path.name.startswith("."):
                _remove(path)

    def link(self, source: Path) -> None:
        """A case, or table, that is used where it is."""
        link = self.folder / source.name
        if link.is_symlink() and link.resolve() == source.resolve():
            return
        _remove(link)
        link.symlink_to(source.resolve())

    def holds(self, name: str, digest: str) -> bool:
        """Whether a case was made from these files already."""
        target = self.folder / name
        made_of = target / _SOURCE
        return not target.is_symlink() and made_of.exists() and made_of.read_text() == digest

    def put(self, name: str, digest: str, convert: Callable[[Path], None]) -> None:
        """Have a case made, whole or not at all; the one before it goes once the new one is on disk."""
        target, partial = self.folder / name, self.folder / f".{name}{_PARTIAL}"
        try:
            convert(partial)
            (partial / _SOURCE).write_text(digest)
            _sync_tree(partial)
            _remove(target)
            partial.replace(target)
            sync_folder(self.folder)
        except BaseException:
            _remove(target)  # of other files than the case has now
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _refuse_others(self, data: Path) -> None:
        here, there = self.folder.resolve(), data.resolve()
        if here == there or here in there.parents:
            raise ConfigurationError(
                f"--out: converted cases go to {self.folder}, which holds the cases themselves; choose another --out"
            )
        if self.folder.exists() and not (self.folder / _MARKER).exists() and any(self.folder.iterdir()):
            raise ConfigurationError(
                f"--out: converted cases go to {self.folder}, expected an empty folder or an earlier conversion, "
                "found other files; choose another --out, or remove that folder if it is not needed"
            )


def _sync_tree(folder: Path) -> None:
    """A power cut must leave no empty image beside a digest that says it is whole."""
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync_file(Path(root) / name)
        sync_folder(Path(root))


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
