"""Alembic's entry: runs inside the connection that `db.migrate` hands over."""

from alembic import context

from db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
