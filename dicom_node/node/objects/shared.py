"""What machines share through an object store: images of jobs, result sets, and the key of patients' hashes.

The machine that receives keeps everything in its STORAGE, as without an object store; that is the truth. Other machines
only analyse: they fetch what a job needs, and put its result set there before its rows are committed. Keys are the
paths in STORAGE, whose content never changes:

| key                                          | what                      | checked by                      |
|----------------------------------------------|---------------------------|---------------------------------|
| inbox/.../<instance>-<sha256>.dcm            | one received object       | the SHA-256 of its row          |
| outbox/<job>/<number>.tar                    | one whole result set      | SHA256SUMS, its first member    |
| models/<digest>.tar                          | the live model's bundle   | its digest, by the model store  |
| patient.key                                  | see `patient_key`         | it is the same on all machines  |
| installation                                 | whose STORAGE is the truth| see `serve.only_node`           |

No key is ever listed: paths come from the database, and the numbers of a job's result sets follow each other.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from db.records import StoredInstance
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.files import make_folder, make_once, sync_file, sync_folder, write_whole
from dicom_node.node.objects.door import DamagedObject, ObjectStore, ObjectStoreTrouble, digest_of

_SUMS: Final = "SHA256SUMS"
_FETCHED: Final = "fetched"


class SharedStorage:
    """STORAGE of this machine and the object store beside it. Safe to use from several threads and processes.

    Args:
        storage: absolute.
        store: the door.
    """

    def __init__(self, storage: Path, store: ObjectStore) -> None:
        self._storage = storage
        self._store = store
        self._folder = storage / _FETCHED

    def away(self) -> str | None:
        """Why the store cannot be used; None when it can."""
        try:
            self._store.exists("probe")
        except ObjectStoreTrouble as error:
            return str(error)
        return None

    # Images

    def share_instances(self, instances: Iterable[StoredInstance]) -> int:
        """Put the files of instances there that are in STORAGE; returns how many were not there before.

        A file that is damaged, or cannot be read, is not put: other machines would take it for what was received.
        """
        count = 0
        for path, sha256 in {instance.path: instance.sha256 for instance in instances}.items():
            file = self._storage / path
            if file.is_file() and not self._store.exists(path) and _is_whole(file, sha256):
                count += self._store.put_if_absent(path, file)
                if not file.is_file():  # removed meanwhile, so that no later removal looks for it in the store
                    self._store.delete(path)
        return count

    def fetch_instances(self, instances: Iterable[StoredInstance]) -> None:
        """Fetch files that are not in STORAGE. What the store has not, or has damaged, stays missing: the analysis says
        so as it does of files on a disk.

        Raises:
            ObjectStoreTrouble: the store does not answer.
        """
        for path, sha256 in {instance.path: instance.sha256 for instance in instances}.items():
            file = self._storage / path
            if file.exists():
                with suppress(OSError):
                    os.utime(file)  # a copy that is used is not swept
                continue
            with _Arriving(self._folder) as arriving:
                if self._store.get(path, arriving) and digest_of(arriving) == sha256:
                    make_folder(file.parent)
                    arriving.replace(file)
                    sync_folder(file.parent)

    def forget(self, paths: Iterable[str], job_ids: Iterable[int]) -> None:
        """Remove images and result sets of jobs from the store; their files in STORAGE are the caller's."""
        for path in paths:
            self._store.delete(path)
        for job_id in job_ids:
            for number in range(self.newest_set(job_id), 0, -1):
                self._store.delete(_set_key(job_id, number))

    # Result sets

    def newest_set(self, job_id: int) -> int:
        """The highest number of a result set of a job; 0 without one."""
        number = 0
        while self._store.exists(_set_key(job_id, number + 1)):
            number += 1
        return number

    def share_set(self, job_id: int, number: int, folder: Path) -> bool:
        """Put a whole result set there under a number; False when that number is taken."""
        make_folder(self._folder)
        with _Arriving(self._folder) as packed:
            _pack(folder, packed)
            return self._store.put_if_absent(_set_key(job_id, number), packed)

    def forget_set(self, job_id: int, number: int) -> None:
        """Remove a result set that is not used."""
        self._store.delete(_set_key(job_id, number))

    def fetch_set(self, job_id: int, number: int) -> bool:
        """Fetch a result set into the outbox, whole; False when there is none.

        Raises:
            ObjectStoreTrouble: the store does not answer.
            DamagedObject: what it gave is not whole.
        """
        target = self._storage / "outbox" / str(job_id) / str(number)
        if target.is_dir():
            return True
        with _Arriving(self._folder) as packed:
            if not self._store.get(_set_key(job_id, number), packed):
                return False
            unpacked = packed.with_suffix(".set")
            try:
                _unpack(packed, unpacked, self._store.name)
                make_folder(target.parent)
                try:
                    unpacked.rename(target)
                except OSError:
                    if not target.is_dir():  # another process was quicker
                        raise
                sync_folder(target.parent)
            finally:
                shutil.rmtree(unpacked, ignore_errors=True)
        return True

    def fetch_files(self, paths: Sequence[str]) -> None:
        """Fetch the result sets that files of the outbox are in; what is not there stays missing.

        Raises:
            ObjectStoreTrouble: see `fetch_set`.
        """
        for job_id, number in sorted({found for path in paths if (found := _set_of(path)) is not None}):
            self.fetch_set(job_id, number)

    # The live model

    def share_model(self, digest: str, folder: Path) -> bool:
        """Put a bundle there, unless it is there; returns whether it was not.

        Raises:
            ObjectStoreTrouble: the store does not answer.
        """
        if self._store.exists(_model_key(digest)):
            return False
        make_folder(self._folder)
        with _Arriving(self._folder) as packed:
            _pack(folder, packed)
            return self._store.put_if_absent(_model_key(digest), packed)

    @contextmanager
    def fetched_model(self, digest: str) -> Iterator[Path | None]:
        """A folder with the bundle of that digest while the block lasts; None when the store has none. What is in it is
        whole, and nothing but its digest says that it is the model.

        Raises:
            ObjectStoreTrouble: the store does not answer.
            DamagedObject: what it gave is not whole.
        """
        with _Arriving(self._folder) as packed:
            if not self._store.get(_model_key(digest), packed):
                yield None
                return
            unpacked = packed.with_suffix(".model")
            try:
                _unpack(packed, unpacked, self._store.name)
                yield unpacked
            finally:
                shutil.rmtree(unpacked, ignore_errors=True)

    # One file for all

    def fetch_once(self, name: str, mode: int) -> bool:
        """Have the small file of all machines in STORAGE, unless one is there; False when the store has none yet.

        Raises:
            ObjectStoreTrouble: the store does not answer.
        """
        with _Arriving(self._folder) as arriving:
            if not self._store.get(name, arriving):
                return False
            make_once(self._storage / name, arriving.read_bytes(), mode)
        return True

    def share_once(self, name: str, *, was_here: bool) -> None:
        """Have the same small file in STORAGE on all machines: the first one's.

        Args:
            name: of a file that is in STORAGE.
            was_here: whether it was there before this process began; one that was just made gives way.

        Raises:
            ConfigurationError: this machine has used another one.
            ObjectStoreTrouble: the store does not answer.
        """
        file = self._storage / name
        if (content := self._first(name)) == file.read_bytes():
            return
        if was_here:
            raise ConfigurationError(
                f"{file} is not the one of the other machines: expected the same. On a machine that only analyses, "
                "remove it; it is fetched at the next start"
            )
        mode = file.stat().st_mode
        write_whole(file, content)
        file.chmod(mode)

    def has(self, name: str) -> bool:
        """Whether there is such a small file.

        Raises:
            ObjectStoreTrouble: the store does not answer.
        """
        return self._store.exists(name)

    def claims(self, name: str) -> bool:
        """Put a small file of STORAGE there unless there is one; whether the one that is there now is the same.

        Raises:
            ObjectStoreTrouble: the store does not answer.
        """
        return self._first(name) == (self._storage / name).read_bytes()

    def _first(self, name: str) -> bytes:
        """The small file of that name that was there first; ours, where there was none."""
        file = self._storage / name
        if self._store.put_if_absent(name, file):
            return file.read_bytes()
        with _Arriving(self._folder) as arriving:
            if not self._store.get(name, arriving):
                raise ObjectStoreTrouble(f"the object store {self._store.name} has lost {name}")
            return arriving.read_bytes()


def _is_whole(file: Path, sha256: str) -> bool:
    try:
        return digest_of(file) == sha256
    except OSError:  # a bad sector, or the rules of the disk were quicker
        return False


class _Arriving:
    """A name for a file that is being fetched; gone afterwards, unless it was moved away."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._path = folder / secrets.token_hex(12)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _set_key(job_id: int, number: int) -> str:
    return f"outbox/{job_id}/{number}.tar"


def _model_key(digest: str) -> str:
    return f"models/{digest}.tar"


def _set_of(path: str) -> tuple[int, int] | None:
    """Job and number of a file of a result set; None for others, as withdrawal notes."""
    parts = path.split("/")
    if len(parts) != 4 or parts[0] != "outbox" or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return int(parts[1]), int(parts[2])


def _pack(folder: Path, packed: Path) -> None:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    sums = packed.with_suffix(".sums")
    try:
        sums.write_text("".join(f"{digest_of(file)}  {file.name}\n" for file in files), "utf-8")
        with tarfile.open(packed, "x", format=tarfile.PAX_FORMAT) as archive:
            archive.add(sums, _SUMS, recursive=False)
            for file in files:
                archive.add(file, file.name, recursive=False)
    finally:
        sums.unlink(missing_ok=True)


def _unpack(packed: Path, target: Path, store: str) -> None:
    """Plain files with plain names only, each with the digest that SHA256SUMS has of it."""
    target.mkdir()
    try:
        with tarfile.open(packed, "r:") as archive:
            first = archive.next()
            stream = None if first is None or first.name != _SUMS else archive.extractfile(first)
            if stream is None:
                raise ValueError("no sums")
            lines = stream.read().decode("utf-8").splitlines()
            expected = {line[66:]: line[:64] for line in lines}
            for member in archive:
                if member.name == _SUMS:
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.name not in expected or os.sep in member.name:
                    raise ValueError("not a plain file")
                _write(target / member.name, content.read(), expected.pop(member.name))
            if expected:
                raise ValueError("files are missing")
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise DamagedObject(f"what the object store {store} gave is not whole: {error}") from error
    sync_folder(target)


def _write(file: Path, content: bytes, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{file.name} has other bytes")
    with file.open("xb") as stream:
        stream.write(content)
        stream.flush()
        sync_file(stream.fileno())
