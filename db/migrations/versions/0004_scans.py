"""Scans by patient, for follow-up."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scans",
        sa.Column("job_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("patient_key", sa.String(length=64), nullable=False),
        sa.Column("birth_key", sa.String(length=64), nullable=True),
        sa.Column("acquired_on", sa.Date(), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("compared_with_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_scans_job_id")),
        sa.ForeignKeyConstraint(["compared_with_id"], ["jobs.id"], name=op.f("fk_scans_compared_with_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_scans")),
    )
    op.create_index("ix_scans_patient", "scans", ["patient_key", "acquired_on"], unique=False)


def downgrade() -> None:
    op.drop_table("scans")
