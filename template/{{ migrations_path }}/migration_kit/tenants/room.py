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
        from .tenant import kind_with_schemas, schema_of_run

        schema = schema_of_run()
        if schema is None:
            return super().around(connection)
        kind = kind_with_schemas(connection.dialect.name)
        return kind.search_path(connection, schema)

    def add_commands(self, add_parser: Any) -> None:
        from .fleet import add_commands

        add_commands(add_parser)


room = Tenants()
