"""Old entries of the audit trail, from the database to files: STORAGE/audit/audit-FIRST-LAST.jsonl.gz.

A file is whole and on disk before its entries leave the database, in one transaction with the entry that says so
(`db.audit.prune`). After a crash in between, the file is there and the entries too: the next step writes it again.
Each line is an entry with its place in the chain, so the files can be verified without the database, and together with
it (`archived_rows`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from db.audit import AuditRow, prune, require_chained, rows_before
from db.engine import Database
from db.engine.turns import turn_if_free
from db.records import AuditEntry
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.files import make_folder, write_whole
from dicom_node.node.logger import get_logger

log = get_logger()

FOLDER: Final = "audit"
_NAME: Final = re.compile(r"audit-(\d{10,})-(\d{10,})\.jsonl\.gz")
_MOST: Final = 5_000  # entries in one file: their removal holds up no other writer for long


def archive_step(database: Database, storage: Path, before: datetime, last_number: int | None, by: str) -> int:
    """Move the oldest entries, those of one file at most, out of the database; returns how many.

    Args:
        before: only entries that are older.
        last_number: only entries up to this one, which a repository has; None: whatever a repository has.
        by: who, for the entry that says so.

    Raises:
        IllegalTransition: the entries do not fit each other, so that somebody has changed them; nothing was removed.
        StorageTrouble: the file does not read as it was written; nothing was removed.
        OSError: it could not be written; nothing was removed.
    """
    with turn_if_free(database, "audit archive") as is_ours:
        leaving = rows_before(database, before, last_number, _MOST) if is_ours else []
        if not leaving:
            return 0
        require_chained(database, leaving)
        path = storage / FOLDER / f"audit-{leaving[0].number:010}-{leaving[-1].number:010}.jsonl.gz"
        make_folder(path.parent)
        packed = _packed(leaving)
        write_whole(path, packed)
        path.chmod(0o440)
        if not _reads_as(path, leaving):
            raise StorageTrouble(f"{path} does not read as it was written; the audit trail stays in the database")
        count = prune(database, leaving, by, f"{FOLDER}/{path.name}", hashlib.sha256(packed).hexdigest())
        log.info("audit entries archived", count=count, file=path.name)
        return count


def archive_age(keep_days: float, now: datetime) -> datetime:
    """Entries before this leave."""
    return now - timedelta(days=keep_days)


def archived_rows(storage: Path) -> Iterator[AuditRow]:
    """Entries of all files, oldest first.

    Raises:
        StorageTrouble: a file cannot be read.
    """
    folder = storage / FOLDER
    files = sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name)) if folder.is_dir() else []
    last = 0
    for file in files:
        for row in _rows_of(file):
            if row.number > last:  # after a crash a longer file may begin as a shorter one does
                yield row
                last = row.number


def _reads_as(path: Path, rows: Sequence[AuditRow]) -> bool:
    try:
        return list(_rows_of(path)) == list(rows)
    except StorageTrouble:
        return False


def _packed(rows: Sequence[AuditRow]) -> bytes:
    lines = (json.dumps(_plain(row), ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    return gzip.compress("".join(lines).encode("utf-8", "surrogatepass"), mtime=0)


def _plain(row: AuditRow) -> Mapping[str, Any]:
    entry = row.entry
    return {
        "number": row.number, "at": entry.at.isoformat(), "who": entry.who, "action": entry.action,
        "job_id": entry.job_id, "detail": entry.detail, "about": entry.about,
        "previous_hash": row.previous_hash, "hash": row.hash,
    }  # fmt: skip


def _rows_of(path: Path) -> Iterator[AuditRow]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="surrogatepass") as lines:
            for line in lines:
                found = json.loads(line)
                at = datetime.fromisoformat(found["at"])
                fields = (found["who"], found["action"], found["job_id"], found["detail"], found["about"])
                yield AuditRow(found["number"], AuditEntry(at, *fields), found["previous_hash"], found["hash"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        words = f"{path} cannot be read ({type(error).__name__}): take it from a backup or the audit repository"
        raise StorageTrouble(words) from error
