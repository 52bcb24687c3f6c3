"""Testing: databases for tests that the migrations made, and checks of every revision."""

from typing import Any

from ..rooms import Room


class Testing(Room):
    """Prepares a new database of the tests as env.py says."""

    def before(self, connection: Any, options: dict[str, Any]) -> None:
        from alembic import context

        if context.config.attributes.get("scratch"):
            from .scratch import prepare_new_database

            prepare_new_database(connection, options["prepare"])


room = Testing()
