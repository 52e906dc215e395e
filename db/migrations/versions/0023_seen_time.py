"""Time in which the node ran, by which retention counts its days."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seen_time",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    # Until now days were those of the calendar: the node counts as running from its first image to its last.
    op.execute(
        "INSERT INTO seen_time (begun_at, seen_at) SELECT begun, seen FROM "
        "(SELECT min(first_received_at) AS begun, max(last_received_at) AS seen FROM series) AS received "
        "WHERE begun IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table("seen_time")
