"""A job that is judged again knows the answer that was sent before; a delivery that is not all sent, its report."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("answered", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("deliveries", sa.Column("report_out", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("deliveries", "report_out")
    op.drop_column("jobs", "answered")
