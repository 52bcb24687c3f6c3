"""One line of revisions: the file HEAD, and `python migrations rebase`."""

import re
from typing import Any

from ..rooms import Room


class Branches(Room):
    """Lets two branches that both add a revision conflict in git, and puts one after the other."""

    def remedy(self, script: Any, message: str) -> str:
        from ..errors import MISSING
        from .head import commands_after_rebase, rival_heads, two_heads_remedy

        if message.startswith("Multiple head revisions"):
            heads = rival_heads(script)
            return two_heads_remedy(heads) if heads else ""
        if missing := re.match(MISSING, message):
            return commands_after_rebase(script, missing[1], recorded())
        return ""

    def revision_written(self, config: Any, file: str) -> None:
        from .head import write_heads

        write_heads(config, file)

    def add_commands(self, add_parser: Any) -> None:
        from .head import add_commands

        add_commands(add_parser)


def recorded() -> Any:
    """Return the revisions that the database of the run records."""
    from alembic import context

    return (
        () if context.is_offline_mode() else context.get_context().get_current_heads()
    )


room = Branches()
