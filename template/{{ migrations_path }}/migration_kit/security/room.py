"""Security: on PostgreSQL, row-level security, policies and grants that the models declare."""

from typing import Any

from ..rooms import Room, part


class Security(Room):
    """Compares them, and writes them into revisions both ways."""

    def options(self, connection: Any) -> dict[str, Any]:
        from ..command import get_command

        module = part("security", connection.dialect.name)
        if not module or get_command() not in {"check", "revision"}:
            return {}
        return {"autogenerate_plugins": [module.plugin.name]}


room = Security()
