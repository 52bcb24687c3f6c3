"""Diagram: tables and revisions, drawn into docs/schema.md."""

from typing import Any

from ..rooms import Room


class Diagram(Room):
    """Draws the schema."""

    def add_commands(self, add_parser: Any) -> None:
        from .draw import add_commands

        add_commands(add_parser)


room = Diagram()
