"""The report of a model's checks is kept, so that the page can show it and promote by it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("checks", sa.JSON(none_as_null=True)))
    op.add_column("models", sa.Column("checked_at", sa.DateTime(timezone=True)))
    op.add_column("models", sa.Column("checked_against", sa.String(64)))


def downgrade() -> None:
    op.drop_column("models", "checked_against")
    op.drop_column("models", "checked_at")
    op.drop_column("models", "checks")
