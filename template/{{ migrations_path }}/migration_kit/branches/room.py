"""One line of revisions: the file HEAD, and `python migrations rebase`."""

import re
from typing import Any

from ..rooms import Room


class Branches(Room):
    """Lets two branches that both add a revision conflict in git, and moves one after the other."""

    def remedy(self, script: Any, message: str) -> str:
        from ..errors import MISSING
        from .head import rebased_remedy, two_heads_remedy

        if message.startswith("Multiple head revisions"):
            return two_heads_remedy(script)
        missing = re.match(MISSING, message)
        return rebased_remedy(script, missing[1]) if missing else ""

    def revision_written(self, config: Any, file: str) -> None:
        from .head import write_heads

        write_heads(config, file)

    def add_commands(self, add_parser: Any) -> None:
        from .head import add_commands

        add_commands(add_parser)


room = Branches()
