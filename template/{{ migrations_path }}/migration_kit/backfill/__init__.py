"""Changes many rows apart from the upgrade: in batches, and continues after a crash.

The revision that adds the column declares it, and the one that needs it requires it:

    @backfill(heroes, where=heroes.c.years.is_(None))
    def fill_years(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
        connection.execute(sa.update(heroes).where(batch).values(years=heroes.c.age))

    def upgrade() -> None:
        require_backfill("fill_years")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .declaration import backfill, require_backfill

__all__ = ["backfill", "require_backfill"]


def __getattr__(name: str) -> Any:
    """Import what a revision asks for; each run looks into this folder."""
    if name not in __all__:
        raise AttributeError(name)
    from ..rooms import is_on
    from . import declaration

    if not is_on("backfill"):  # an installed kit has every room
        raise ImportError("`rooms` of alembic.ini lacks backfill", name=__name__)
    return getattr(declaration, name)
