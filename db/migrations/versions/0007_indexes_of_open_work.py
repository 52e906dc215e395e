"""Indexes hold open work only, whatever the history; a series knows what came again; jobs by study."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_DROPPED = (
    ("ix_jobs_queue", "jobs", ["state", "not_before", "id"]),
    ("ix_jobs_leases", "jobs", ["state", "lease_expires"]),
    ("ix_deliveries_queue", "deliveries", ["state", "not_before", "id"]),
    ("ix_feedback_queue", "feedback", ["state", "not_before", "id"]),
)
_MADE = (
    ("ix_jobs_queued", "jobs", ["not_before", "id"], "state = 'queued'"),
    ("ix_jobs_running", "jobs", ["lease_expires"], "state = 'running'"),
    ("ix_jobs_not_done", "jobs", ["state", "id"], "state <> 'done'"),
    ("ix_jobs_study", "jobs", ["study_instance_uid", "id"], None),
    ("ix_deliveries_pending", "deliveries", ["not_before", "id"], "state = 'pending'"),
    ("ix_feedback_waiting", "feedback", ["not_before", "id"], "state = 'waiting'"),
    ("ix_series_resent", "series", ["series_instance_uid"], "duplicate_count > duplicates_seen"),
)


def upgrade() -> None:
    for name in ("duplicate_count", "duplicates_seen"):
        op.add_column("series", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    # What came again before the upgrade is looked at once more.
    op.execute(
        "UPDATE series SET duplicate_count = (SELECT sum(duplicate_count) FROM series_associations "
        "WHERE series_associations.series_instance_uid = series.series_instance_uid) "
        "WHERE series_instance_uid IN (SELECT series_instance_uid FROM series_associations WHERE duplicate_count > 0)"
    )
    for name, table, _ in _DROPPED:
        op.drop_index(name, table_name=table)
    for name, table, columns, condition in _MADE:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, _ in reversed(_MADE):
        op.drop_index(name, table_name=table)
    for name, table, columns in _DROPPED:
        op.create_index(name, table, columns, unique=False)
    for name in ("duplicates_seen", "duplicate_count"):
        op.drop_column("series", name)
