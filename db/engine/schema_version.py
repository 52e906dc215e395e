"""Which schema a database has, and which this version needs; without Alembic, which every command would wait for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from db.engine.database import Database, make_engine, utc_now
from db.engine.url import parse_url

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
# SQLAlchemy's inspector asks the same in ten times the time, which every command would wait for.
_HAS_TABLE: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name = 'alembic_version'",
    "postgresql": "SELECT to_regclass('alembic_version')",
}


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

    @property
    def remedy(self) -> str:
        """What to do where it cannot work with it. There is no downgrade."""
        return "run `wmh-node db upgrade`" if self.is_known else "install that version, or restore a backup"

    def __str__(self) -> str:
        if self.is_current:
            return f"revision {self.head}, current"
        if self.current is None:
            return f"no schema yet, this version needs revision {self.head}"
        if not self.is_known:
            return f"revision {self.current} belongs to a newer version; this one needs {self.head}"
        return f"revision {self.current}, this version needs {self.head}"


def check(url: str) -> SchemaStatus:
    """Compare the schema with what this version needs; changes nothing, and makes no file.

    Raises:
        InvalidDatabaseUrl, DatabaseUnavailable: see `db.engine.url`, `db.engine.translation`.
    """
    parsed = parse_url(url)
    if _is_missing_file(parsed):
        return SchemaStatus(current=None, head=revisions()[-1], is_known=True)
    database = Database(make_engine(parsed), utc_now)
    try:
        with database.read() as connection:
            return schema_status(connection)
    finally:
        database.close()


def revisions() -> tuple[str, ...]:
    """Every revision that this version knows, oldest first: the first part of each migration's file name."""
    return tuple(sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")))


def schema_status(connection: Connection) -> SchemaStatus:
    """Compare the schema behind a connection with what this version needs."""
    known = revisions()
    current = _current_revision(connection)
    return SchemaStatus(current=current, head=known[-1], is_known=current is None or current in known)


def _current_revision(connection: Connection) -> str | None:
    """What Alembic wrote into its table; None before the first upgrade."""
    if connection.exec_driver_sql(_HAS_TABLE[connection.dialect.name]).scalar() is None:
        return None
    current: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return current


def _is_missing_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists()
