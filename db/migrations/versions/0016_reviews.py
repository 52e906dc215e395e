"""What readers say of results: accepted, rejected, corrected; and which results wait for that."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_OPEN = sa.text("review = 'open' AND purged_at IS NULL")
_UPLOADED = sa.text("sop_instance_uid IS NOT NULL")
# Readers did not know that they could say something of older ones: years of them would hide those of today.
_TAKEN_OVER_DAYS = 30


def upgrade() -> None:
    op.add_column("jobs", sa.Column("review", sa.String(16)))
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("sop_instance_uid", sa.String(64)),
        sa.Column("sha256", sa.String(64)),
        sa.Column("feedback_id", sa.Integer()),
        sa.Column("model", sa.String(255)),
        sa.Column("model_digest", sa.String(64)),
        sa.Column("scanner", sa.String(16)),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_reviews_job_id_jobs"),
        sa.ForeignKeyConstraint(["feedback_id"], ["feedback.id"], name="fk_reviews_feedback_id_feedback"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reviews_job", "reviews", ["job_id", "id"])
    op.create_index(
        "ix_reviews_upload", "reviews", ["sop_instance_uid"], sqlite_where=_UPLOADED, postgresql_where=_UPLOADED
    )
    _take_over()
    op.create_index("ix_jobs_review", "jobs", ["id"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    op.drop_index("ix_jobs_review", table_name="jobs")
    op.drop_index("ix_reviews_upload", table_name="reviews")
    op.drop_index("ix_reviews_job", table_name="reviews")
    op.drop_table("reviews")
    op.drop_column("jobs", "review")


def _take_over() -> None:
    """Results of late that recommend a review wait for it while their files are there; those that were corrected
    already do not."""
    if op.get_bind().dialect.name == "sqlite":
        recommended = "json_extract(measurements, '$.review_recommended') = 1"
    else:
        recommended = "measurements ->> 'review_recommended' = 'true'"
    since = sa.bindparam("since", datetime.now(UTC) - timedelta(days=_TAKEN_OVER_DAYS), sa.DateTime(timezone=True))
    lately = "created_at >= :since AND purged_at IS NULL AND withdrawn_at IS NULL AND measurements IS NOT NULL"
    waits = sa.text(f"UPDATE jobs SET review = 'open' WHERE {lately} AND {recommended}")  # noqa: S608
    op.execute(waits.bindparams(since))
    corrected = "SELECT job_id FROM feedback WHERE state = 'accepted' AND job_id IS NOT NULL"
    op.execute(f"UPDATE jobs SET review = 'corrected' WHERE id IN ({corrected})")  # noqa: S608
    op.execute(
        "INSERT INTO reviews (job_id, at, who, verdict, sop_instance_uid, sha256, feedback_id) "
        "SELECT job_id, decided_at, calling_ae_title, 'corrected', sop_instance_uid, sha256, id FROM feedback "
        "WHERE state = 'accepted' AND job_id IS NOT NULL AND decided_at IS NOT NULL ORDER BY id"
    )
