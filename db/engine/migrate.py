"""Upgrade and check of the schema; the migrations ship inside the package.

An upgrade is one transaction on both databases, so a kill in its middle leaves the old schema; two at once go one after
the other. `db.engine.new_migration` writes a migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL

from db.engine.database import Database, make_engine, make_folder, utc_now
from db.engine.translation import translated
from db.engine.url import parse_url, shown
from db.errors import SchemaOutOfDate

# Any number that nothing else on the server uses: it names our lock (PostgreSQL 13.3.5, advisory locks).
_UPGRADE_LOCK: Final = 0x776D682D6E6F6465


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How the database's schema compares with this version of the program.

    Attributes:
        current: revision of the database; None when it has no tables of ours.
        head: revision that this version needs.
        is_known: False when a newer version of the program has upgraded the database.
    """

    current: str | None
    head: str
    is_known: bool

    @property
    def is_current(self) -> bool:
        """True when this version can work with it."""
        return self.current == self.head

    def __str__(self) -> str:
        if self.is_current:
            return f"revision {self.head}, current"
        if self.current is None:
            return f"no schema yet, this version needs revision {self.head}"
        if not self.is_known:
            return f"revision {self.current} belongs to a newer version; this one needs {self.head}"
        return f"revision {self.current}, this version needs {self.head}"


def upgrade(url: str) -> SchemaStatus:
    """Make or upgrade the schema; makes an SQLite file and its folder. Changes nothing when it is current.

    Raises:
        SchemaOutOfDate: a newer version of the program has upgraded the database.
        InvalidDatabaseUrl, DatabaseUnavailable: see `db.engine.url`, `db.engine.translation`.
    """
    parsed = parse_url(url)
    with translated(parsed):
        make_folder(parsed)
    engine = make_engine(parsed)
    database = Database(engine, utc_now)
    if database.is_sqlite:
        event.listen(engine, "connect", _suspend_foreign_keys)
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            status = _status(connection)
            if not status.is_known:
                raise SchemaOutOfDate(f"{shown(parsed)}: {status}; install that version, or restore a backup")
            if not status.is_current:
                command.upgrade(config_for(connection), "head")
                _require_foreign_keys(connection, parsed)
            return _status(connection)
    finally:
        database.close()


def check(url: str) -> SchemaStatus:
    """Compare the schema with what this version needs; changes nothing, and makes no file.

    Raises:
        InvalidDatabaseUrl, DatabaseUnavailable: see `db.engine.url`, `db.engine.translation`.
    """
    parsed = parse_url(url)
    if _is_missing_file(parsed):
        return SchemaStatus(current=None, head=_head(), is_known=True)
    database = Database(make_engine(parsed), utc_now)
    try:
        with database.read() as connection:
            return _status(connection)
    finally:
        database.close()


def _suspend_foreign_keys(driver_connection: Any, _record: object) -> None:
    """SQLite alters a table by creating it again; dropping the old one would also drop what refers to it.

    Source: sqlite.org/lang_altertable.html, section 7. The pragma has no effect inside a transaction.
    """
    driver_connection.execute("PRAGMA foreign_keys=OFF")


def _require_foreign_keys(connection: Connection, url: URL) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise SchemaOutOfDate(f"{shown(url)}: the upgrade would leave rows that refer to nothing, and was undone")


def _status(connection: Connection) -> SchemaStatus:
    current = MigrationContext.configure(connection).get_current_revision()
    return SchemaStatus(current=current, head=_head(), is_known=_is_known(current))


def _head() -> str:
    head = ScriptDirectory.from_config(config_for()).get_current_head()
    assert head is not None, "the package has no migrations"
    return head


def _is_known(revision: str | None) -> bool:
    if revision is None:
        return True
    try:
        return ScriptDirectory.from_config(config_for()).get_revision(revision) is not None
    except CommandError:
        return False


def _is_missing_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists()


def config_for(connection: Connection | None = None) -> Config:
    """Alembic's settings, for a connection with a transaction; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
