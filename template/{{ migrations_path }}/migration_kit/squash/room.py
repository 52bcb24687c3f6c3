"""Squash: one revision in place of an old part of the history."""

import re
from typing import Any

from ..rooms import Room


class Squash(Room):
    """Writes one revision for many, and knows which revisions were squashed."""

    def check_history(self, script: Any) -> None:
        from .replaced import refuse_half_squashed

        refuse_half_squashed(script)

    def remedy(self, script: Any, message: str) -> str:
        from ..errors import MISSING
        from .replaced import remedy_for_replaced

        missing = re.match(MISSING, message)
        return remedy_for_replaced(script, missing[1]) if missing else ""

    def add_commands(self, add_parser: Any) -> None:
        from .command import add_commands

        add_commands(add_parser)


room = Squash()
