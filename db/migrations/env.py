"""Alembic's entry: runs on the connection and in the transaction that `db.engine.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from db.schema import UtcDateTime, complete_for_postgresql, metadata


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Migrations name plain types, so that they stay the same when ours change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


complete_for_postgresql()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite too: an upgrade that is killed leaves the old schema
    render_as_batch=True,  # SQLite cannot alter columns in place
    render_item=render_item,
)
context.run_migrations()
