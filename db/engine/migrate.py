"""Upgrade of the schema; the migrations ship inside the package.

An upgrade is one transaction on both databases, so a kill in its middle leaves the old schema; two at once go one after
the other. `db.engine.new_migration` writes a migration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL

from db.engine.database import Database, make_engine, make_folder, utc_now
from db.engine.schema_version import MIGRATIONS, SchemaStatus, schema_status
from db.engine.translation import translated
from db.engine.url import parse_url, shown
from db.errors import SchemaOutOfDate

if TYPE_CHECKING:
    from alembic.config import Config

# Any number that nothing else on the server uses: it names our lock (PostgreSQL 13.3.5, advisory locks).
_UPGRADE_LOCK: Final = 0x776D682D6E6F6465


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
            status = schema_status(connection)
            if not status.is_known:
                raise SchemaOutOfDate(f"{shown(parsed)}: {status}; {status.remedy}")
            if not status.is_current:
                from alembic import command  # only here: each role's start would wait for it

                command.upgrade(config_for(connection), "head")
                _require_foreign_keys(connection, parsed)
            return schema_status(connection)
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


def config_for(connection: Connection | None = None) -> Config:
    """Alembic's settings, for a connection with a transaction; there is no alembic.ini."""
    from alembic.config import Config  # as `command` above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
