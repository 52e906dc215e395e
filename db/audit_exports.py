"""How far the audit trail has gone to a repository. The trail itself is the spool: nothing is kept twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import storable
from db.schema import audit_exports


class AuditExportTable:
    """One row for each repository. Safe to use from several threads, processes and machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def position(self, repository: str) -> int:
        """Number of the last row that it took; 0 before the first."""
        query = select(audit_exports.c.last_number).where(audit_exports.c.repository == repository)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0

    def state(self, repository: str) -> tuple[datetime | None, str | None]:
        """Since when it takes nothing, and why; (None, None) when it does."""
        query = select(audit_exports.c.failing_since, audit_exports.c.trouble)
        with self._database.read() as connection:
            row = connection.execute(query.where(audit_exports.c.repository == repository)).first()
        return (None, None) if row is None else (row.failing_since, row.trouble)

    def took(self, repository: str, last_number: int) -> None:
        """It has every row up to this one."""
        self._write(repository, last_number=last_number, taken_at=self._database.clock())

    def failed(self, repository: str, words: str) -> None:
        """It takes nothing now."""
        since, _ = self.state(repository)
        self._write(repository, failing_since=since or self._database.clock(), trouble=storable(words))

    def _write(self, repository: str, **values: object) -> None:
        values = {"failing_since": None, "trouble": None, **values}
        with self._database.write() as connection:
            row = upsert(connection.dialect.name)(audit_exports)
            row = row.values(**{"repository": repository, "last_number": 0, **values})
            connection.execute(row.on_conflict_do_update(index_elements=[audit_exports.c.repository], set_=values))
