"""Alembic's entry: runs on the connection and in the transaction that `db.migrate` hands over."""

from alembic import context

from db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite too: an upgrade that is killed leaves the old schema
    render_as_batch=True,  # SQLite cannot alter columns in place
)
context.run_migrations()
