"""When a project's last lease was: projects take turns."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("leased_at", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "leased_at")  # not in a batch: SQLite would make the table anew, to which others refer
