"""Multiple databases, each with its own history: commands on all, and what belongs to others."""

import re
from typing import Any

from ..rooms import Room


class Databases(Room):
    """Runs a command of Alembic on all databases, and keeps them apart."""

    def not_migrated(self, config: Any, packages: Any) -> list[str]:
        from .command import packages_of_others

        return packages_of_others(config, packages)

    def remedy(self, script: Any, message: str) -> str:
        from ..errors import MISSING
        from .command import remedy_for_other_history

        missing = re.match(MISSING, message)
        return remedy_for_other_history(missing[1]) if missing else ""

    def add_commands(self, add_parser: Any) -> None:
        from .command import add_commands

        add_commands(add_parser)


room = Databases()
