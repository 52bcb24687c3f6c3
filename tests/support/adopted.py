"""A project that has no template yet: its models, a revision of its own, and the answers that adopt it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import copier

DECLARATIVE = {
    "shop/models.py": """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
""",
}
REVISION = """\
\"\"\"A revision with a name of its own.\"\"\"
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table("orders")
"""


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, in folders that need not be there."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def adopt(template: Path, project: Path, base_import: str, **answers: Any) -> None:
    """Add the migration layer; overwriting is what a user answers to Copier's question."""
    answers |= {"base_location": "existing", "base_import": base_import}
    copier.run_copy(
        str(template), project, data=answers, defaults=True, overwrite=True, quiet=True
    )
