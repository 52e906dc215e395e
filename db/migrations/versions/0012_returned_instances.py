"""Instances that came again after other bytes of the same UID, so that it is known which came last."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "returned_instances",
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("association_id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["series_instance_uid"],
            ["series.series_instance_uid"],
            name="fk_returned_instances_series_instance_uid_series",
        ),
        sa.ForeignKeyConstraint(
            ["association_id"], ["associations.id"], name="fk_returned_instances_association_id_associations"
        ),
        sa.PrimaryKeyConstraint("series_instance_uid", "ordinal", name="pk_returned_instances"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("returned_instances")
