"""A copy of the whole database while others write, and an empty database made from it.

SQLite by its online backup (sqlite.org/backup.html); PostgreSQL by pg_dump and pg_restore, which must be installed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from db.engine.schema_version import check
from db.engine.url import parse_url, shown
from db.errors import DatabaseUnavailable

_SECONDS: Final = 6 * 3600.0  # a database of years


def dump(url: str, target: Path) -> None:
    """Write one consistent copy to a file that does not exist yet.

    Raises:
        DatabaseUnavailable: it cannot be read, or pg_dump is missing.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        try:
            source = sqlite3.connect(f"file:{parsed.database}?mode=ro", uri=True)
            with closing(source), closing(sqlite3.connect(target)) as copy:
                source.backup(copy)  # one snapshot, which keeps no writer waiting (WAL)
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"{shown(parsed)} cannot be copied: {error}") from error
        return
    _run("pg_dump", parsed, "--format=custom", f"--file={target}")


def load(source: Path, url: str) -> None:
    """Fill an empty database from a copy.

    Raises:
        DatabaseUnavailable: the database has tables already, or pg_restore is missing or fails.
    """
    parsed = parse_url(url)
    if check(url).current is not None:
        raise DatabaseUnavailable(f"{shown(parsed)} is not empty: expected a new database, so that nothing is replaced")
    if parsed.get_backend_name() == "sqlite":
        shutil.copyfile(source, str(parsed.database))
        return
    _run("pg_restore", parsed, "--no-owner", "--exit-on-error", "--single-transaction", str(source))


def require_sound(source: Path, *, is_sqlite: bool) -> None:
    """Read a copy to its end.

    Raises:
        DatabaseUnavailable: it is damaged.
    """
    if not is_sqlite:
        _call(["pg_restore", f"--file={os.devnull}", str(source)], dict(os.environ))
        return
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro&immutable=1", uri=True)) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"{source} is damaged: {error}") from error
    if found != "ok":
        raise DatabaseUnavailable(f"{source} is damaged: {found}")


def _run(program: str, url: URL, *arguments: str) -> None:
    """The password goes by the environment: other users see a command line."""
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    _call([program, f"--dbname={plain}", *arguments], environment)


def _call(command: list[str], environment: dict[str, str]) -> None:
    program = command[0]
    if shutil.which(program) is None:
        raise DatabaseUnavailable(
            f"{program} is not installed: install PostgreSQL's client programs (postgresql-client)"
        )
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DatabaseUnavailable(f"{program} failed: {last}")
