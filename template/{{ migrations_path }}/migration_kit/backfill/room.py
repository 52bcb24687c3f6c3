"""Backfills: many rows changed in batches, apart from the upgrade."""

from typing import Any

from ..rooms import Room


class Backfills(Room):
    """Forgets the backfills of a revision that was reverted, and has a command for them."""

    def after_revision(self, **step: Any) -> None:
        is_done = step["step"].is_upgrade or step["step"].is_stamp
        if not (is_done or step["ctx"].as_sql):
            from .records import forget_undone

            forget_undone(**step)

    def add_commands(self, add_parser: Any) -> None:
        from .command import add_commands

        add_commands(add_parser)


room = Backfills()
