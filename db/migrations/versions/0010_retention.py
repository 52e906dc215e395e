"""Files go, rows stay: when the files of a series were removed, what is held, and which failures a person has seen."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("series", "purged_at"),
    ("instances", "purged_at"),
    ("jobs", "acknowledged_at"),
    ("jobs", "purged_at"),
)


def upgrade() -> None:
    for table, column in _COLUMNS:
        op.add_column(table, sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    kept = sa.text("purged_at IS NULL")
    op.create_index(
        "ix_series_kept", "series", ["last_received_at"], unique=False, sqlite_where=kept, postgresql_where=kept
    )
    op.create_table(
        "holds",
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name="pk_holds"),
    )
    op.create_table(
        "purges",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(16), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("freed_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_purges"),
        sqlite_autoincrement=True,
    )
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_purges_unfinished",
        "purges",
        ["id"],
        unique=False,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )


def downgrade() -> None:
    op.drop_table("purges")
    op.drop_table("holds")
    op.drop_index("ix_series_kept", table_name="series")
    for table, column in reversed(_COLUMNS):
        op.drop_column(table, column)
