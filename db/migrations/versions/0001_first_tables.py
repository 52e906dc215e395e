"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Written out here, not taken from db.schema: a migration does not change when the tables do.
UTC_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "associations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.String(length=255), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("called_ae_title", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("opened_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.Column("ended_how", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_associations")),
    )
    op.create_index(
        "ix_associations_open",
        "associations",
        ["receiver"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=True),
        sa.Column("instances_digest", sa.String(length=64), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UTC_TIME, nullable=False),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_expires", UTC_TIME, nullable=True),
        sa.Column("predecessor_id", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("measurements", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("report", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(["predecessor_id"], ["jobs.id"], name=op.f("fk_jobs_predecessor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint(
            "series_instance_uid", "instances_digest", name=op.f("uq_jobs_series_instance_uid_instances_digest")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_leases", "jobs", ["state", "lease_expires"], unique=False)
    op.create_index("ix_jobs_queue", "jobs", ["state", "not_before", "id"], unique=False)
    op.create_table(
        "series",
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("conflict_count", sa.Integer(), nullable=False),
        sa.Column("judged_count", sa.Integer(), nullable=False),
        sa.Column("first_received_at", UTC_TIME, nullable=False),
        sa.Column("last_received_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("series_instance_uid", name=op.f("pk_series")),
    )
    op.create_index(
        "ix_series_open",
        "series",
        ["last_received_at"],
        unique=False,
        sqlite_where=sa.text("instance_count > judged_count"),
        postgresql_where=sa.text("instance_count > judged_count"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_audit_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(length=255), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("not_before", UTC_TIME, nullable=False),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_expires", UTC_TIME, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("settled_at", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_deliveries_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("job_id", "destination", name=op.f("uq_deliveries_job_id_destination")),
    )
    op.create_index("ix_deliveries_queue", "deliveries", ["state", "not_before", "id"], unique=False)
    op.create_table(
        "instances",
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("is_conflict", sa.Boolean(), nullable=False),
        sa.Column("known_elsewhere", sa.Boolean(), nullable=False),
        sa.Column("association_id", sa.Integer(), nullable=False),
        sa.Column("received_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["association_id"], ["associations.id"], name=op.f("fk_instances_association_id")),
        sa.ForeignKeyConstraint(
            ["series_instance_uid"], ["series.series_instance_uid"], name=op.f("fk_instances_series_instance_uid")
        ),
        sa.PrimaryKeyConstraint("series_instance_uid", "ordinal", name=op.f("pk_instances")),
        sa.UniqueConstraint("sop_instance_uid", "sha256", name=op.f("uq_instances_sop_instance_uid_sha256")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    op.create_index("ix_job_events_job", "job_events", ["job_id", "id"], unique=False)
    op.create_table(
        "series_associations",
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("association_id", sa.Integer(), nullable=False),
        sa.Column("first_received_at", UTC_TIME, nullable=False),
        sa.Column("duplicate_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["association_id"], ["associations.id"], name=op.f("fk_series_associations_association_id")
        ),
        sa.ForeignKeyConstraint(
            ["series_instance_uid"],
            ["series.series_instance_uid"],
            name=op.f("fk_series_associations_series_instance_uid"),
        ),
        sa.PrimaryKeyConstraint("series_instance_uid", "association_id", name=op.f("pk_series_associations")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("series_associations")
    op.drop_index("ix_job_events_job", table_name="job_events")
    op.drop_table("job_events")
    op.drop_table("instances")
    op.drop_index("ix_deliveries_queue", table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_table("audit")
    op.drop_index(
        "ix_series_open",
        table_name="series",
        sqlite_where=sa.text("instance_count > judged_count"),
        postgresql_where=sa.text("instance_count > judged_count"),
    )
    op.drop_table("series")
    op.drop_index("ix_jobs_queue", table_name="jobs")
    op.drop_index("ix_jobs_leases", table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(
        "ix_associations_open",
        table_name="associations",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("associations")
