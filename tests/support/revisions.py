"""Revisions that tests add to a generated project."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

HERO = "4f1c8a2d7b3e"

REVISION = '''\
"""{revision}"""

import time

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down_revision!r}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''


def add_revision(
    versions: Path,
    revision: str,
    upgrade: str,
    downgrade: str = "pass",
    down_revision: str | None = HERO,
) -> Path:
    """Write a revision.

    Args:
        versions: the folder of the revisions.
        revision: the identifier.
        upgrade: the body of `upgrade`.
        downgrade: the body of `downgrade`.
        down_revision: the revision before it.

    Returns:
        The path of its file.
    """
    path = versions / f"{revision}.py"
    path.write_text(
        REVISION.format(
            revision=revision,
            down_revision=down_revision,
            upgrade=indent(dedent(upgrade).strip(), "    "),
            downgrade=indent(dedent(downgrade).strip(), "    "),
        ),
        encoding="utf-8",
    )
    return path


def revision_of(path: Path) -> str:
    """Return the identifier of a revision that Alembic named."""
    return path.name.split("-")[1].split("_")[0]


def write_downgrades(versions: Path) -> None:
    """Let each downgrade that nobody wrote say that there is nothing to undo."""
    for path in versions.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        source = re.sub("raise NotImplementedError.*", '"""Nothing to undo."""', source)
        path.write_text(source, encoding="utf-8")
