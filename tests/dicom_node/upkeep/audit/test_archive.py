"""Old entries of the audit trail leave the database for files, and the chain is still one."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from support.clock import ManualClock
from support.node import clean_environment, run_here

from db.audit import PRUNE, audit_entries, entries_after, record_action, verify_chain
from db.engine import Database
from db.errors import IllegalTransition
from db.schema import audit
from dicom_node.node.errors import StorageTrouble
from dicom_node.upkeep.audit import archive
from dicom_node.upkeep.audit.archive import archive_step, archived_rows

pytestmark = pytest.mark.slow

DAY = 86_400.0


def _act(database: Database, count: int) -> None:
    for number in range(count):
        with database.write() as connection:
            about = {"studies": [f"1.2.{number}"], "sop_classes": {"1.2": 3}}
            record_action(connection, database.clock(), "älice@node1", "hold", None, f"why {number} \u2028", about)


def _now(clock: ManualClock) -> datetime:
    return clock()


def _all(database: Database) -> list[int]:
    return [number for number, _ in entries_after(database, 0, 1000)]


def test_the_trail_begins_later_and_is_whole(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    """Old entries are in a file and not in the database; an entry says so; the chain holds with them and without."""
    _act(database, 3)
    early = verify_chain(database).head
    clock.pass_seconds(10 * DAY)
    _act(database, 2)
    assert archive_step(database, tmp_path, _now(clock) - timedelta(days=5), None, "bob") == 3
    assert _all(database) == [4, 5, 6]
    newest = audit_entries(database, 1)[0]
    assert (newest.action, newest.who, newest.about and newest.about["last_hash"]) == (PRUNE, "bob", early)
    found = verify_chain(database)
    assert (found.is_whole, found.entries, found.begins_after) == (True, 3, early)
    assert not verify_chain(database, holds=early).is_whole
    whole = verify_chain(database, early, archived_rows(tmp_path))
    assert (whole.is_whole, whole.entries, whole.begins_after) == (True, 6, "")
    (file,) = (tmp_path / "audit").iterdir()
    assert file.stat().st_mode & 0o777 == 0o440
    assert archive_step(database, tmp_path, _now(clock) - timedelta(days=5), None, "bob") == 0


def test_again_and_again(database: Database, clock: ManualClock, tmp_path: Path, monkeypatch: object) -> None:
    """Many rounds, also of entries that vouched for earlier ones: one chain over all files and the database."""
    for _ in range(4):
        _act(database, 2)
        clock.pass_seconds(DAY)
        while archive_step(database, tmp_path, _now(clock) - timedelta(hours=1), None, "node"):
            assert verify_chain(database).is_whole
    assert _all(database), "the newest entry stays, so that no number is used twice"
    whole = verify_chain(database, None, archived_rows(tmp_path))
    assert whole.is_whole and whole.begins_after == ""
    numbers = [row.number for row in archived_rows(tmp_path)] + _all(database)
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_beginning_that_no_entry_vouches_for_shows(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    """Who removes the oldest entries by hand is found out, before an archive and after it, and no archive hides it."""
    _act(database, 4)
    clock.pass_seconds(DAY)
    archive_step(database, tmp_path, _now(clock), 1, "node")
    assert verify_chain(database).is_whole
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.id <= 2))
    found = verify_chain(database)
    assert (found.is_whole, found.broken_at) == (False, 3)
    with pytest.raises(IllegalTransition, match="broken at entry 3"):
        archive_step(database, tmp_path, _now(clock), None, "node")
    assert not verify_chain(database, None, archived_rows(tmp_path)).is_whole
    assert _all(database)[0] == 3


def test_a_changed_file_shows(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    """A changed line breaks the chain; a file that is cut off says what to do."""
    _act(database, 3)
    clock.pass_seconds(DAY)
    archive_step(database, tmp_path, _now(clock), None, "node")
    (file,) = (tmp_path / "audit").iterdir()
    whole = file.read_bytes()
    lines = [json.loads(line) for line in gzip.decompress(whole).decode().split("\n")[:-1]]
    lines[1]["who"] = "mallory"
    file.chmod(0o640)
    file.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    found = verify_chain(database, None, archived_rows(tmp_path))
    assert (found.is_whole, found.broken_at, found.words) == (False, 2, "it was changed")
    file.write_bytes(whole[:-20])
    with pytest.raises(StorageTrouble, match="from a backup"):
        verify_chain(database, None, archived_rows(tmp_path))


def test_what_a_repository_lacks_stays(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    """Nothing beyond the repository's position leaves, however old; nor what comes after a younger entry."""
    _act(database, 4)
    clock.pass_seconds(DAY)
    assert archive_step(database, tmp_path, _now(clock), 2, "node") == 2
    with database.write() as connection:
        connection.execute(update(audit).where(audit.c.id == 4).values(at=_now(clock) + timedelta(days=9)))
    clock.pass_seconds(DAY)
    assert archive_step(database, tmp_path, _now(clock), 99, "node") == 1
    assert _all(database)[0] == 4


@pytest.mark.parametrize("where", ["before the file", "after the file"])
def test_a_crash_in_between_loses_and_doubles_nothing(
    database: Database, clock: ManualClock, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that dies at either side of its file leaves every entry in the database, and the next one goes on."""
    _act(database, 3)
    clock.pass_seconds(DAY)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(archive, "write_whole" if where == "before the file" else "prune", die)
        archive_step(database, tmp_path, _now(clock), None, "node")
    assert _all(database) == [1, 2, 3]
    _act(database, 1)
    clock.pass_seconds(DAY)
    assert archive_step(database, tmp_path, _now(clock), None, "node") == 4
    assert [row.number for row in archived_rows(tmp_path)] == [1, 2, 3, 4]
    assert verify_chain(database, None, archived_rows(tmp_path)).is_whole


def test_a_disk_that_lies_removes_nothing(
    database: Database, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file reads otherwise than it was written, or entries changed meanwhile, all stay in the database."""
    _act(database, 3)
    clock.pass_seconds(DAY)
    write = archive.write_whole
    with monkeypatch.context() as patched, pytest.raises(StorageTrouble, match="stays in the database"):
        patched.setattr(archive, "write_whole", lambda path, content: write(path, content[:-8]) or None)
        archive_step(database, tmp_path, _now(clock), None, "node")
    assert _all(database) == [1, 2, 3]

    def write_and_change(path: Path, content: bytes) -> None:
        write(path, content)
        with database.write() as connection:
            connection.execute(update(audit).where(audit.c.id == 2).values(hash="0" * 64))

    with monkeypatch.context() as patched, pytest.raises(IllegalTransition, match="nothing was removed"):
        patched.setattr(archive, "write_whole", write_and_change)
        archive_step(database, tmp_path, _now(clock), None, "node")
    assert _all(database) == [1, 2, 3]


def test_by_hand(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    """The command says how many, moves them, and `verify` reads the files; what is not old stays."""
    _act(database, 3)
    early = verify_chain(database).head
    clock.pass_seconds(40 * DAY)
    _act(database, 1)
    environment = {
        **clean_environment(),
        "WMH_NODE_STORAGE": str(tmp_path),
        "WMH_NODE_DATABASE_URL": f"sqlite:///{tmp_path / 'node.sqlite'}",
    }
    day = (_now(clock) - timedelta(days=20)).date().isoformat()
    would = run_here("audit", "archive", "--before", day, "--dry-run", environment=environment)
    assert would.stdout == "3 entries would be archived\n"
    assert not (tmp_path / "audit").exists()
    assert "3 entries archived" in run_here("audit", "archive", "--before", day, environment=environment).stdout
    verified = run_here("audit", "verify", "--archives", "--json", environment=environment)
    assert (json.loads(verified.stdout)["whole"], json.loads(verified.stdout)["entries"]) == (True, 5)
    assert "which follow" in run_here("audit", "verify", environment=environment).stdout
    without = run_here("audit", "verify", "--holds", early, environment=environment, code=1).stderr
    assert "it is in the archives, which --archives reads too" in " ".join(without.split())
    assert "is whole" in run_here("audit", "verify", "--archives", "--holds", early, environment=environment).stdout
    (file,) = (tmp_path / "audit").iterdir()
    file.chmod(0o640)
    os.truncate(file, 10)
    assert run_here("audit", "verify", environment=environment).returncode == 0
    assert "cannot be read" in run_here("audit", "verify", "--archives", environment=environment, code=1).stderr
