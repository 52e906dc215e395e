"""Jobs know whether what other machines need of them is in the object store."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("shared_at", sa.DateTime(timezone=True), nullable=True))
    where = sa.text("shared_at IS NULL AND purged_at IS NULL")
    op.create_index("ix_jobs_unshared", "jobs", ["id"], unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index("ix_jobs_unshared", table_name="jobs")
    op.drop_column("jobs", "shared_at")
