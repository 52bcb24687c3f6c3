"""Renames: a dropped and an added table or column that are one with a new name."""

from typing import Any

from ..rooms import Room


class Renames(Room):
    """Asks whether something was renamed, and writes a revision that keeps the rows."""

    def options(self, connection: Any) -> dict[str, Any]:
        from ..command import get_command

        if get_command() != "revision":
            return {}
        from .comparison import plugin, process_revision_directives

        return {
            "autogenerate_plugins": [plugin.name],
            "process_revision_directives": process_revision_directives,
        }


room = Renames()
