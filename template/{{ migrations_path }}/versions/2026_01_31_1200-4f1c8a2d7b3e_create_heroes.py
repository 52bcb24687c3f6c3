"""create heroes

Revision ID: 4f1c8a2d7b3e
Revises:
Create Date: 2026-01-31 12:00:00+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "4f1c8a2d7b3e"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "heroes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_name", sa.String(length=100), nullable=False),
        sa.Column("age", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_heroes")),
    )
    op.create_index(op.f("ix_heroes_name"), "heroes", ["name"])


def downgrade() -> None:
    op.drop_table("heroes")
