"""`INSERT ... ON CONFLICT`, which SQLAlchemy spells by dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite


def upsert(dialect_name: str) -> Any:
    """The dialect's `insert`, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return sqlite.insert if dialect_name == "sqlite" else postgresql.insert
