"""Objects that the receiver refused, so that their series is known to lack them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refused_objects",
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("association_id", sa.Integer(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["association_id"], ["associations.id"], name="fk_refused_objects_association_id_associations"
        ),
        sa.PrimaryKeyConstraint("series_instance_uid", "sop_instance_uid", name="pk_refused_objects"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("refused_objects")
