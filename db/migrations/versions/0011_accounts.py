"""Accounts of the page with their sessions and tokens; indexes for its lists of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("last_login_at", time, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", time, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "web_sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("opened_at", time, nullable=False),
        sa.Column("idle_until", time, nullable=False),
        sa.Column("ends_at", time, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_web_sessions_account_accounts"),
        sa.PrimaryKeyConstraint("digest", name="pk_web_sessions"),
    )
    op.create_index("ix_web_sessions_idle_until", "web_sessions", ["idle_until"])
    op.create_table(
        "web_tokens",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("used_at", time, nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_web_tokens_account_accounts"),
        sa.PrimaryKeyConstraint("digest", name="pk_web_tokens"),
    )
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"])
    has_code = sa.text("code IS NOT NULL")
    op.create_index("ix_jobs_code", "jobs", ["code", "id"], sqlite_where=has_code, postgresql_where=has_code)


def downgrade() -> None:
    op.drop_index("ix_jobs_code", "jobs")
    op.drop_index("ix_jobs_created_at", "jobs")
    for table in ("web_tokens", "web_sessions", "accounts"):
        op.drop_table(table)
