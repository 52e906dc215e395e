"""A backup is a folder: the database's copy, the files that it names, and a manifest that is written last.

    DIR/database          node.sqlite's copy, or pg_dump's custom format
    DIR/files/...         as in STORAGE: inbox, outbox, models, patient.key, audit, installation
    DIR/backup.json       what there is, with sizes and sha256: without it the backup is not finished

The database is copied first, then the files: what is received meanwhile is not in the copy, and what is in it is there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from db.engine import open_database
from db.engine.dump import dump, load, require_sound
from db.engine.schema_version import check
from db.retention import RetentionTable
from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.files import json_bytes, make_folder, sync_file, sync_folder, write_whole
from dicom_node.node.held_deliveries import hold_deliveries
from dicom_node.node.version import SOFTWARE_VERSION

MANIFEST: Final = "backup.json"
_DATABASE: Final = "database"
_FILES: Final = "files"
_ALWAYS: Final = ("models", "patient.key", "audit", "installation")


@dataclass(frozen=True)
class BackupFile:
    """One file: its path relative to STORAGE in POSIX form, bytes, sha256 as hex."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        missing: files that the database names and STORAGE lacked.
    """

    version: str
    at: str
    revision: str
    is_sqlite: bool
    database_sha256: str
    files: tuple[BackupFile, ...]
    missing: tuple[str, ...]


def create(url: str, storage: Path, folder: Path, by: str) -> Manifest:
    """Back the node up into a new or empty folder; the node may run.

    Raises:
        ConfigurationError: the folder is not empty.
        DatabaseError, OSError: it could not be copied; the folder has no manifest.
    """
    _require_empty(folder)
    make_folder(folder / _FILES)
    dump(url, folder / _DATABASE)
    files, missing = [], []
    with closing(open_database(url)) as database:
        table, at = RetentionTable(database), database.clock()
        for path in _named(table, storage):
            try:
                files.append(_copy(storage, folder / _FILES, path))
            except FileNotFoundError:
                missing.append(path)
        missing = sorted(set(missing) & set(table.kept_paths())) if missing else []  # removed by the rules meanwhile
        manifest = Manifest(
            SOFTWARE_VERSION, at.isoformat(), str(check(url).current), database.is_sqlite,
            _digest(folder / _DATABASE), tuple(files), tuple(missing),
        )  # fmt: skip
        sync_file(folder / _DATABASE)
        write_whole(folder / MANIFEST, json_bytes(asdict(manifest)))
        table.note_backup(by, f"{len(files)} files")
    return manifest


def verify(folder: Path) -> Manifest:
    """Read every byte of a backup.

    Raises:
        StorageTrouble: it is not finished, or a file is missing or changed.
        DatabaseError: the copy of the database is damaged.
    """
    manifest = read_manifest(folder)
    if _digest_or_none(folder / _DATABASE) != manifest.database_sha256:
        raise StorageTrouble(f"the copy of the database in {folder} is missing or changed: use another backup")
    require_sound(folder / _DATABASE, is_sqlite=manifest.is_sqlite)
    wrong = [file.path for file in manifest.files if _digest_or_none(folder / _FILES / file.path) != file.sha256]
    if wrong:
        raise StorageTrouble(f"{len(wrong)} files of the backup are missing or changed, such as {wrong[0]}")
    return manifest


def restore(folder: Path, storage: Path, url: str) -> Manifest:
    """Make a node from a backup: into an empty folder and an empty database. Nothing is sent until it is released.

    Raises:
        ConfigurationError: the folder is not empty, or the backup is of the other kind of database.
        StorageTrouble, DatabaseError: see `verify` and `db.engine.dump.load`.
    """
    _require_empty(storage)
    manifest = verify(folder)
    if manifest.is_sqlite != url.startswith("sqlite"):
        kind = "SQLite" if manifest.is_sqlite else "PostgreSQL"
        raise ConfigurationError(f"DATABASE_URL: expected a {kind} database as in the backup, got another")
    make_folder(storage)
    hold_deliveries(storage)
    for file in manifest.files:
        _copy(folder / _FILES, storage, file.path)
    for kind in ("inbox", "outbox"):
        make_folder(storage / kind)
    sync_folder(storage)
    load(folder / _DATABASE, url)
    with closing(open_database(url)) as database:
        table = RetentionTable(database)
        table.note_gone([path for path in table.kept_paths() if not (storage / path).is_file()])
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """What a backup says that it holds.

    Raises:
        StorageTrouble: there is no manifest, or it cannot be read.
    """
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = tuple(BackupFile(**entry) for entry in found.pop("files"))
        return Manifest(**{**found, "files": files, "missing": tuple(found["missing"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageTrouble(f"{folder} holds no finished backup: expected {MANIFEST} there") from error


def _named(table: RetentionTable, storage: Path) -> Iterator[str]:
    yield from table.kept_paths()
    for job_id in table.kept_jobs():
        for name in (f"outbox/{job_id}", f"outbox/held/{job_id}"):
            yield from _below(storage, name)
    for name in _ALWAYS:
        yield from _below(storage, name)


def _below(storage: Path, name: str) -> Iterator[str]:
    start = storage / name
    for file in sorted([start, *start.rglob("*")]):
        if file.is_file():
            yield file.relative_to(storage).as_posix()


def _copy(source: Path, target: Path, path: str) -> BackupFile:
    copy = target / path
    make_folder(copy.parent)
    shutil.copyfile(source / path, copy)
    sync_file(copy)
    return BackupFile(path, copy.stat().st_size, _digest(copy))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_or_none(file: Path) -> str | None:
    try:
        return _digest(file)
    except OSError:
        return None


def _require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty: expected a new folder, so that nothing is replaced")
