"""Autogenerate: differences that are seen, and revisions that run as they are written."""

from typing import Any

from ..rooms import Room


class Autogenerate(Room):
    """Compares models and database, and writes a revision that runs both ways."""

    def options(self, connection: Any) -> dict[str, Any]:
        from .operations import autogenerate_options

        return autogenerate_options(connection)

    def before(self, connection: Any, options: dict[str, Any]) -> None:
        from .models import warn_of_unloaded_models
        from .operations import load_plugins

        load_plugins(connection)
        warn_of_unloaded_models(options["packages"], options["not_migrated"])


room = Autogenerate()
