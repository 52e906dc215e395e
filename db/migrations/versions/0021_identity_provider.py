"""Accounts of people who log in at an identity provider."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("subject", sa.String(64)))


def downgrade() -> None:
    op.drop_column("accounts", "subject")
