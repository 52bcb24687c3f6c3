"""Writes revisions that keep a busy table usable, on PostgreSQL: up to three.

1. expand: what is quick, in one transaction; constraints are not valid yet.
2. concurrently: long work that takes no long lock, outside a transaction; it may run twice.
3. finish: what is quick after that, in one transaction.

Such revisions call these two:

    require_no_row("heroes", "age IS NULL")
    lock_tables("heroes", "teams", "powers")
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Import what a revision asks for; each run looks into this folder."""
    if name not in {"lock_tables", "require_no_row"}:
        raise AttributeError(name)
    from ..rooms import is_on, part

    if not is_on("online"):  # an installed kit has every room
        raise ImportError("`rooms` of alembic.ini lacks online", name=__name__)
    return getattr(part("online", "postgresql"), name)
