"""The last backup is found without a look at every transfer of the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    backups = sa.text("action = 'backup'")
    op.create_index("ix_audit_backup", "audit", ["at"], unique=False, sqlite_where=backups, postgresql_where=backups)


def downgrade() -> None:
    op.drop_index("ix_audit_backup", table_name="audit")
