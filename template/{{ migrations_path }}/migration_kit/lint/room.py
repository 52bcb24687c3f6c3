"""Lint: what a revision destroys or locks; protected databases."""

import os
from typing import Any

from ..rooms import Room


class Lint(Room):
    """Finds what destroys data or stops a database in use, and keeps it from a protected one."""

    def refuse(self, connection: Any) -> None:
        if is_protected():
            from .protect import protect

            protect(connection)

    def add_commands(self, add_parser: Any) -> None:
        from .command import add_commands

        add_commands(add_parser)


def is_protected() -> bool:
    """Return whether anything says that the database of the run is protected, or not."""
    from alembic import context

    return (
        "protected" in context.get_x_argument(as_dictionary=True)
        or "MIGRATIONS_PROTECTED" in os.environ
        or context.config.get_main_option("protected") is not None
    )


room = Lint()
