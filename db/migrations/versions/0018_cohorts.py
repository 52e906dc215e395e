"""Cohorts: studies of an archive that are fetched one after the other."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cohorts",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("per_hour", sa.Integer()),
        sa.Column("from_hour", sa.Integer()),
        sa.Column("until_hour", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.UniqueConstraint("name", name=op.f("uq_cohorts_name")),
    )
    op.create_table(
        "cohort_items",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("cohort_id", sa.Integer(), sa.ForeignKey("cohorts.id"), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("given", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("study_instance_uid", sa.String(64)),
        sa.Column("accession_number", sa.String(255)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expected", sa.JSON(none_as_null=True)),
        sa.Column("reason", sa.Text()),
        sa.Column("lease_owner", sa.String(255)),
        sa.Column("lease_expires", sa.DateTime(timezone=True)),
        sa.Column("moved_at", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("cohort_id", "line", name=op.f("uq_cohort_items_cohort_id_line")),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_cohort_items_waiting",
        "cohort_items",
        ["cohort_id", "not_before"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("ix_cohort_items_moved", "cohort_items", ["moved_at"])


def downgrade() -> None:
    op.drop_table("cohort_items")
    op.drop_table("cohorts")
