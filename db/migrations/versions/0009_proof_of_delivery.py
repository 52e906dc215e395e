"""Deliveries that are proven, storage commitment for us and by us, and results that are withdrawn."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)
_PENDING = ("ix_deliveries_pending", ["not_before", "id"], "state = 'pending'")
_UNPROVEN = ("ix_deliveries_unproven", ["not_before", "id"], "state = 'sent' AND settled_at IS NULL")
_NEW = {
    "deliveries": (
        ("kind", sa.String(16), False, "results"),
        ("proof", sa.String(16), True, None),
        ("proof_failures", sa.Integer(), False, "0"),
        ("resend", sa.JSON(none_as_null=True), True, None),
    ),
    "jobs": (
        ("withdrawn_at", UTC_TIME, True, None),
        ("withdrawn_by", sa.String(255), True, None),
        ("withdrawn_reason", sa.Text(), True, None),
    ),
}
# SQLite copies the table for another UNIQUE constraint, and loses the conditions of its indexes on the way.
_UNIQUE = "uq_deliveries_job_id_destination"


def _index(name: str, table: str, columns: list[str], condition: str | None) -> None:
    where = None if condition is None else sa.text(condition)
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    for table, columns in _NEW.items():
        for name, kind, nullable, default in columns:
            op.add_column(table, sa.Column(name, kind, nullable=nullable, server_default=default))
    op.drop_index(_PENDING[0], table_name="deliveries")
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_constraint(_UNIQUE, type_="unique")
        batch.create_unique_constraint(f"{_UNIQUE}_kind", ["job_id", "destination", "kind"])
    for name, indexed, condition in (_PENDING, _UNPROVEN):
        _index(name, "deliveries", indexed, condition)
    op.execute("UPDATE deliveries SET state = 'given_up' WHERE state = 'given up'")
    op.create_table(
        "commitments",
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("objects", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made_at", UTC_TIME, nullable=False),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.Column("failures", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_commitments_delivery_id"),
        sa.PrimaryKeyConstraint("transaction_uid", name="pk_commitments"),
    )
    _index("ix_commitments_delivery", "commitments", ["delivery_id"], None)
    op.create_table(
        "commitment_answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("committed", sa.JSON(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UTC_TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("settled_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_commitment_answers"),
        sa.UniqueConstraint(
            "transaction_uid", "calling_ae_title", name="uq_commitment_answers_transaction_uid_calling_ae_title"
        ),
    )
    _index("ix_commitment_answers_pending", "commitment_answers", ["not_before", "id"], "state = 'pending'")


def downgrade() -> None:
    op.drop_table("commitment_answers")
    op.drop_table("commitments")
    # Of what this version knows alone, the nearest that the one before knows.
    op.execute("DELETE FROM deliveries WHERE kind <> 'results'")
    op.execute("UPDATE deliveries SET state = 'sent' WHERE state IN ('committed', 'unanswered')")
    op.execute("UPDATE deliveries SET state = 'given up' WHERE state IN ('given_up', 'refused')")
    for name, _, _ in (_UNPROVEN, _PENDING):
        op.drop_index(name, table_name="deliveries")
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_constraint(f"{_UNIQUE}_kind", type_="unique")
        batch.create_unique_constraint(_UNIQUE, ["job_id", "destination"])
        for name, *_ in reversed(_NEW["deliveries"]):
            batch.drop_column(name)
    _index(_PENDING[0], "deliveries", _PENDING[1], _PENDING[2])
    for name, *_ in reversed(_NEW["jobs"]):
        op.drop_column("jobs", name)
