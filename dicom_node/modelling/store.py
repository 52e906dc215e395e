"""The model store: STORAGE/models/<digest>/ holds every bundle that was added, immutable.

A bundle is copied into a folder of its own (models/unfinished, `dicom_node.unfinished`), checked again there, pushed
to the disk, and moved to its digest by one rename: a kill or power cut at any instruction leaves the whole bundle or
nothing. Its files are read-only afterwards, and since the digest stands for every byte, what was changed is noticed
whenever it is loaded.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dicom_node.files import sync_file, sync_folder
from dicom_node.storage import UNFINISHED
from dicom_node.unfinished import Unfinished
from segmentation.bundle import MANIFEST_NAME, ModelBundle, load_bundle
from segmentation.errors import BadBundle

MODELS = "models"
_LOCK = ".lock"
_READ_ONLY = 0o444


class Stored(StrEnum):
    """What adding a bundle came to."""

    COPIED = "copied"
    THERE = "there already"
    REPAIRED = "there already, damaged, and replaced"


@dataclass(frozen=True)
class StoredBundle:
    """A bundle in the store.

    Attributes:
        size_bytes: of the manifest and every file that it names.
    """

    bundle: ModelBundle
    size_bytes: int
    stored: Stored


class ModelStore:
    """The folder of bundles.

    Args:
        folder: STORAGE/models; made when the first bundle is added.
        host: name of this machine in the names of unfinished folders.
    """

    def __init__(self, folder: Path, host: str | None = None) -> None:
        self._folder = folder
        self._host = host

    def folder_of(self, digest: str) -> Path:
        """Where the bundle of that digest lies, or would."""
        return self._folder / digest

    def load(self, digest: str) -> ModelBundle:
        """Read and check a bundle.

        Raises:
            BadBundle: it is not there, or not what it was when it was added; says what to do.
        """
        folder = self.folder_of(digest)
        again = f"`wmh-node models add FOLDER` with the bundle of that digest puts it back into {folder}"
        if not folder.is_dir():
            raise BadBundle(f"model {digest[:12]} is not in the model store: {again}")
        try:
            bundle = load_bundle(folder)
        except BadBundle as error:
            raise BadBundle(f"model {digest[:12]} is damaged in the model store: {error}. {again}") from error
        if bundle.identity.digest != digest:
            raise BadBundle(
                f"model {digest[:12]} is damaged in the model store: expected digest {digest}, found "
                f"{bundle.identity.digest}. {again}"
            )
        return bundle

    def add(self, source: Path) -> StoredBundle:
        """Copy a bundle into the store; on disk when this returns.

        A copy that is there already stays as it is, unless it was damaged: then it is replaced.

        Raises:
            BadBundle: the source is no whole bundle, or changed while it was copied.
            OSError: there is no room, or the store cannot be written.
        """
        bundle = load_bundle(source)
        digest = bundle.identity.digest
        names = (MANIFEST_NAME, *sorted(bundle.manifest.files))
        size_bytes = sum((source / name).stat().st_size for name in names)
        unfinished = Unfinished(self._folder / UNFINISHED, self._host)
        unfinished.clear()
        if self._is_whole(digest):
            sync_folder(self._folder)  # whoever put it there may not have come to that
            return StoredBundle(bundle, size_bytes, Stored.THERE)
        with unfinished.workplace(digest) as workplace:
            for name in names:
                _copy(source / name, workplace / name)
            sync_folder(workplace)
            if load_bundle(workplace).identity.digest != digest:
                raise BadBundle(f"the bundle in {source} changed while it was copied: add it again")
            stored = self._publish(workplace, digest, unfinished)
        return StoredBundle(bundle, size_bytes, stored)

    def _is_whole(self, digest: str) -> bool:
        try:
            self.load(digest)
        except BadBundle:
            return False
        return True

    def _publish(self, workplace: Path, digest: str, unfinished: Unfinished) -> Stored:
        target = self.folder_of(digest)
        stored = Stored.COPIED
        with _held(self._folder / _LOCK):  # else two that repair could each take the other's whole copy away
            if self._is_whole(digest):
                return Stored.THERE  # another process was first
            if target.exists():
                stored = Stored.REPAIRED
                with unfinished.workplace(f"{digest}-damaged") as aside:
                    target.rename(aside / digest)
            workplace.rename(target)
            sync_folder(self._folder)
        return stored


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """One process at a time; a process that dies lets go."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(_READ_ONLY)
    sync_file(target)
