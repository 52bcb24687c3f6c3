"""Renames: a dropped and an added table or column that are one with a new name."""

from typing import Any

from ..rooms import Room


class Renames(Room):
    """Asks whether something was renamed, and writes a revision that keeps the rows."""

    def options(self, connection: Any) -> dict[str, Any]:
        from .comparison import plugin

        return {"autogenerate_plugins": [plugin.name]}


room = Renames()
