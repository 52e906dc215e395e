"""What runs: one row for each start of a role, which the role keeps fresh while it lives."""

from __future__ import annotations

import builtins
import uuid
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update

from db.audit import ROLE_ENDED, ROLE_STARTED, record_action
from db.engine.database import Database
from db.engine.values import storable
from db.records import RunningRole
from db.schema import roles

# Rows of starts that are no longer needed.
_KEPT: Final = timedelta(days=30)
_NAME: Final = 255


class RoleTable:
    """Heartbeats. Safe to use from several threads, processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, role: str, host: str, process_id: int, version: str) -> str:
        """Write down that a role has started; returns the id of this start, which no other start ever has."""
        now = self._database.clock()
        start_id = f"{role}-{uuid.uuid4().hex}"
        with self._database.write() as connection:
            connection.execute(delete(roles).where(roles.c.seen_at < now - _KEPT))
            connection.execute(
                insert(roles).values(
                    id=start_id,
                    role=role,
                    host=storable(host)[:_NAME],
                    process_id=process_id,
                    version=version,
                    started_at=now,
                    seen_at=now,
                )
            )
            record_action(connection, now, f"{role}@{host}", ROLE_STARTED, None, f"{role}, version {version}")
        return start_id

    def beat(self, start_id: str, model_digest: str | None = None, trouble: str | None = None) -> None:
        """It lives; and the model that it holds, and what keeps it from its work."""
        values = {
            "seen_at": self._database.clock(),
            "model_digest": model_digest,
            "trouble": None if trouble is None else storable(trouble),
        }
        with self._database.write() as connection:
            connection.execute(update(roles).where(roles.c.id == start_id).values(values))

    def end(self, start_id: str) -> None:
        """It stops in order."""
        now = self._database.clock()
        with self._database.write() as connection:
            query = update(roles).where(roles.c.id == start_id).values(seen_at=now, ended_at=now)
            row = connection.execute(query.returning(roles.c.role, roles.c.host)).first()
            if row is not None:
                record_action(connection, now, f"{row.role}@{row.host}", ROLE_ENDED, None, row.role)

    def list(self, seen_within_seconds: float) -> builtins.list[RunningRole]:
        """Starts that have not ended in order and gave a heartbeat in that time, by role and start."""
        since = self._database.clock() - timedelta(seconds=seen_within_seconds)
        query = (
            select(roles)
            .where(roles.c.seen_at >= since, roles.c.ended_at.is_(None))
            .order_by(roles.c.role, roles.c.started_at, roles.c.id)
        )
        with self._database.read() as connection:
            return [RunningRole(**row._mapping) for row in connection.execute(query)]
