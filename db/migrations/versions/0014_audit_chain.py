"""The audit trail is a chain of hashes; how far it has gone to a repository."""

import datetime
import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_AUDIT = sa.table(
    "audit",
    sa.column("id", sa.Integer()),
    sa.column("at", sa.DateTime(timezone=True)),
    sa.column("who", sa.String()),
    sa.column("action", sa.String()),
    sa.column("job_id", sa.Integer()),
    sa.column("detail", sa.Text()),
    sa.column("previous_hash", sa.String()),
    sa.column("hash", sa.String()),
)


def upgrade() -> None:
    op.add_column("audit", sa.Column("about", sa.JSON(none_as_null=True), nullable=True))
    for name in ("previous_hash", "hash"):
        op.add_column("audit", sa.Column(name, sa.String(64), nullable=False, server_default=""))
    _chain_what_is_there()
    op.create_table(
        "audit_exports",
        sa.Column("repository", sa.String(255), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("repository", name="pk_audit_exports"),
    )


def _chain_what_is_there() -> None:
    """Rows of earlier versions, as `db.audit.row_hash` does: what was changed before today cannot be seen."""
    connection, head = op.get_bind(), ""
    for row in connection.execute(sa.select(_AUDIT).order_by(_AUDIT.c.id)).all():
        at = row.at.replace(tzinfo=row.at.tzinfo or datetime.UTC).astimezone(datetime.UTC)
        content = {
            "at": at.isoformat(timespec="microseconds"), "previous_hash": head, "who": row.who, "action": row.action,
            "job_id": row.job_id, "detail": row.detail, "about": None,
        }  # fmt: skip
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        own = hashlib.sha256(text.encode()).hexdigest()
        connection.execute(sa.update(_AUDIT).where(_AUDIT.c.id == row.id).values(previous_hash=head, hash=own))
        head = own


def downgrade() -> None:
    op.drop_table("audit_exports")
    for name in ("hash", "previous_hash", "about"):
        op.drop_column("audit", name)
