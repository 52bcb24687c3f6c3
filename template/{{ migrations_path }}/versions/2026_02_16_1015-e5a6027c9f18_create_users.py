"""create users

`alembic -x seed=true upgrade head` adds two users to try the application with.

Revision ID: e5a6027c9f18
Revises: b90e43d51a7c
Create Date: 2026-02-16 10:15:00+00:00
"""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from alembic import context, op

revision: str = "e5a6027c9f18"
down_revision: str | Sequence[str] | None = "b90e43d51a7c"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SEED = [
    {"id": UUID("0194cd1b-6c00-7000-8000-000000000001"), "email": "ada@example.com"},
    {"id": UUID("0194cd1b-6c00-7000-8000-000000000002"), "email": "alan@example.com"},
]


def upgrade() -> None:
    users = op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.current_timestamp(),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    if context.get_x_argument(as_dictionary=True).get("seed") == "true":
        op.bulk_insert(users, SEED)


def downgrade() -> None:
    op.drop_table("users")
