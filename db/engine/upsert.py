"""`INSERT ... ON CONFLICT`, which SQLAlchemy spells by dialect."""

from __future__ import annotations

from typing import Any


def upsert(dialect_name: str) -> Any:
    """The dialect's `insert`, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    # A dialect is loaded with its first statement: PostgreSQL's brings asyncio and three drivers.
    if dialect_name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert

        return insert
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql

    return insert_postgresql
