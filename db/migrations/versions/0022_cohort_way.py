"""How the studies of a cohort come here: C-MOVE, C-GET or WADO-RS."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cohorts", sa.Column("way", sa.String(8), nullable=False, server_default="move"))


def downgrade() -> None:
    op.drop_column("cohorts", "way")
