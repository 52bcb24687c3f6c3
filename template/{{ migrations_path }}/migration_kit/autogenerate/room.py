"""Autogenerate: differences that are seen, and revisions that run as they are written."""

from typing import Any

from ..rooms import Room, part

# Commands of Alembic's that never compare. A program may bring a function of its own that does.
COMPARE_NOTHING = {"current", "downgrade", "ensure_version", "stamp", "upgrade"}


class Autogenerate(Room):
    """Compares models and database, and writes a revision that runs both ways."""

    def options(self, connection: Any) -> dict[str, Any]:
        from ..command import get_command

        if not connection.dialect.supports_alter:
            part("autogenerate", connection.dialect.name)  # it copies tables
        if get_command() in COMPARE_NOTHING:
            return {}
        from .operations import autogenerate_options

        return autogenerate_options(connection)

    def before(self, connection: Any, options: dict[str, Any]) -> None:
        from ..command import get_command

        if get_command() in {"check", "revision"}:
            from .compare import log
            from .models import unloaded_models

            if line := unloaded_models(options["packages"], options["not_migrated"]):
                log.warning(line)


room = Autogenerate()
