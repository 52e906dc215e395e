"""Jobs have a priority, and a place in the queue that the claim goes by."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_QUEUED = "state = 'queued'"


def upgrade() -> None:
    op.add_column("series", sa.Column("priority", sa.String(8), nullable=False, server_default="medium"))
    op.add_column("jobs", sa.Column("priority", sa.String(8), nullable=False, server_default="medium"))
    op.add_column("jobs", sa.Column("place", sa.DateTime(timezone=True), nullable=True))
    op.execute(f"UPDATE jobs SET place = not_before WHERE {_QUEUED}")  # noqa: S608 - constants of this file
    _index_queue("place")


def downgrade() -> None:
    _index_queue("not_before")
    op.drop_column("jobs", "place")
    op.drop_column("jobs", "priority")
    op.drop_column("series", "priority")


def _index_queue(by: str) -> None:
    where = sa.text(_QUEUED)
    op.drop_index("ix_jobs_queued", table_name="jobs")
    op.create_index("ix_jobs_queued", "jobs", [by, "id"], unique=False, sqlite_where=where, postgresql_where=where)
