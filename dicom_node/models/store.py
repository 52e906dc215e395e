"""The model store: STORAGE/models/<digest>/ holds every bundle that was added, immutable.

A bundle is copied into a separate folder (models/unfinished, `node.unfinished`), checked again there, pushed
to the disk, and moved to its digest by one rename: a kill or power cut at any instruction leaves the whole bundle or
nothing. Its files are read-only afterwards, and since the digest stands for every byte, what was changed is noticed
whenever it is loaded.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dicom_node.node.files import sync_file, sync_folder
from dicom_node.node.storage import UNFINISHED
from dicom_node.node.unfinished import Unfinished
from segmentation.bundle import MANIFEST_NAME, ModelBundle, load_bundle
from segmentation.errors import BadBundle

MODELS = "models"
_LOCK = ".lock"
_READ_ONLY = 0o444


class Stored(StrEnum):
    """The outcome of adding a bundle."""

    COPIED = "copied"
    THERE = "there already"
    REPAIRED = "there already, but damaged, and replaced"


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
            BadBundle: it is not there, not readable for this account, or not what it was when it was added; says what
                to do.
        """
        folder = self.folder_of(digest)
        if barred := _barred(folder):
            raise BadBundle(f"model {digest[:12]} in the model store cannot be read: {barred}")
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

        A copy that is there already stays as it is, unless it was damaged: then it is replaced. It is readable for
        those who may read the folder above: the worker often runs under another account.

        Raises:
            BadBundle: the source is no whole bundle, or changed while it was copied.
            OSError: there is no room, or the store cannot be written.
        """
        bundle = load_bundle(source)
        digest = bundle.identity.digest
        names = (MANIFEST_NAME, *sorted(bundle.manifest.files))
        size_bytes = sum((source / name).stat().st_size for name in names)
        is_new = not self._folder.exists()
        unfinished = Unfinished(self._folder / UNFINISHED, self._host)
        if is_new:
            _share_like(self._folder.parent, self._folder)
        unfinished.clear()
        if self._is_whole(digest):
            _share_like(self._folder, self.folder_of(digest))
            sync_folder(self._folder)  # the process that put it there may have ended before that
            return StoredBundle(bundle, size_bytes, Stored.THERE)
        with unfinished.workplace(digest) as workplace:
            for name in names:
                _copy(source / name, workplace / name)
            _share_like(self._folder, workplace)
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


def _share_like(model: Path, folder: Path) -> None:
    """Give a folder the owner, group and mode of another, as far as this account may."""
    wanted = model.stat()
    for owner in (wanted.st_uid, -1):  # only root may change the owner; a group of the process any user may set
        with suppress(OSError):  # not allowed, or a file system without owners
            os.chown(folder, owner, wanted.st_gid)
            break
    with suppress(OSError):  # another account's folder
        folder.chmod(stat.S_IMODE(wanted.st_mode))


def _barred(folder: Path) -> str | None:
    """Why this account may not read a stored bundle, and what to do; None when it may, or where there is none."""
    for at in (folder.parent, folder):
        if at.exists() and not os.access(at, os.R_OK | os.X_OK, effective_ids=True):
            found = at.stat()
            return (
                f"{at} belongs to user {found.st_uid}, group {found.st_gid}, with mode "
                f"{stat.S_IMODE(found.st_mode):04o}; this process is user {os.geteuid()}, group {os.getegid()}. Give "
                "the account that runs `wmh-node` the right to read it (chown, chgrp or chmod)"
            )
    return None


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(_READ_ONLY)
    sync_file(target)
