"""Tenants: a schema or a database for each, migrated several at a time."""

from typing import Any

from ..rooms import Room


class Tenants(Room):
    """Leads a run to its tenant, and migrates all tenants."""

    def url(self) -> Any:
        from .tenant import url_of_run

        return url_of_run()

    def schema(self) -> str | None:
        from .tenant import schema_of_run

        return schema_of_run()

    def around(self, connection: Any) -> Any:
        from .tenant import schema_of_run, search_path

        schema = schema_of_run()
        return search_path(connection, schema) if schema else None

    def add_commands(self, add_parser: Any) -> None:
        from .fleet import add_commands

        add_commands(add_parser)


room = Tenants()
