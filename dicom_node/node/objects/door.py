"""The one door to an object store: whole objects under keys, never changed; a folder or S3 behind it."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final, Protocol

from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.files import make_folder, sync_file, sync_folder

_FILE: Final = "file://"


class ObjectStoreTrouble(StorageTrouble):
    """The object store does not answer, or answers something that it should not. It says nothing about a job."""


class DamagedObject(ObjectStoreTrouble):
    """The object store answers, and what it gave is not what was put there. It says nothing about other objects."""


class ObjectStore(Protocol):
    """Whole objects under keys. Every call ends within a time that is set, and may be made again.

    Each method raises ObjectStoreTrouble when the store does not do it.
    """

    @property
    def name(self) -> str:
        """For messages; without secrets."""

    def put_if_absent(self, key: str, file: Path) -> bool:
        """Put a file there, durable when this returns, and proven: what the store gives back has the same digest.

        Returns:
            False when the key has an object already; that stays as it is.
        """

    def get(self, key: str, target: Path) -> bool:
        """Write an object to a file that does not exist yet, synced; False when there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is one."""

    def delete(self, key: str) -> None:
        """Remove one; none there is fine."""


class FolderStore:
    """A folder of another file system, such as NFS, of which nothing is asked but whole files.

    Args:
        folder: exists; a mount that is lost is trouble, not an empty store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder."""
        return f"{_FILE}{self._folder}"

    def put_if_absent(self, key: str, file: Path) -> bool:
        """See `ObjectStore`."""
        target = self._folder / key
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            self._require_there()
            make_folder(target.parent)
            try:
                _copy(file, temporary)
                target.hardlink_to(temporary)
            finally:
                temporary.unlink(missing_ok=True)
            sync_folder(target.parent)
            require_same(self, key, digest_of(file), digest_of(target))
        except FileExistsError:
            return False
        except OSError as error:
            raise self._trouble(error) from error
        return True

    def get(self, key: str, target: Path) -> bool:
        """See `ObjectStore`."""
        try:
            self._require_there()
            if not (self._folder / key).is_file():
                return False
            _copy(self._folder / key, target)
        except OSError as error:
            raise self._trouble(error) from error
        return True

    def exists(self, key: str) -> bool:
        """See `ObjectStore`."""
        try:
            self._require_there()
            return (self._folder / key).is_file()
        except OSError as error:
            raise self._trouble(error) from error

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        try:
            self._require_there()
            (self._folder / key).unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from error

    def _require_there(self) -> None:
        # Made by an administrator: where it is missing, a disk is not mounted.
        if not self._folder.is_dir():
            raise FileNotFoundError(2, os.strerror(2), str(self._folder))

    def _trouble(self, error: OSError) -> ObjectStoreTrouble:
        return ObjectStoreTrouble(f"the object store {self.name} cannot be used: {os.strerror(error.errno or 0)}")


def folder_of(url: str) -> Path | None:
    """The folder of `file:///FOLDER`; None for another kind of store."""
    if not url.startswith(_FILE):
        return None
    folder = Path(url.removeprefix(_FILE))
    if not folder.is_absolute():
        raise ConfigurationError(f"object_store: expected file:///FOLDER or s3://BUCKET/PREFIX, got {url}")
    return folder


def require_same(store: ObjectStore, key: str, sent: str, came_back: str) -> None:
    """Refuse an object that we just put and that does not come back as it went. It is removed: what is there counts as
    proven.

    Raises:
        ObjectStoreTrouble: it does not.
    """
    if sent != came_back:
        store.delete(key)
        raise ObjectStoreTrouble(f"the object store {store.name} gives {key} back with other bytes: is it damaged?")


def digest_of(file: Path) -> str:
    """SHA-256 of a file, as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, target.open("xb") as copy:
        while block := stream.read(1024 * 1024):
            copy.write(block)
        copy.flush()
        sync_file(copy.fileno())
