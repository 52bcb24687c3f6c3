"""Online: on PostgreSQL, revisions that keep a busy table usable."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..rooms import Room, part


class Online(Room):
    """Splits what autogenerate writes, if asked to, and cleans up after an index that failed."""

    def options(self, connection: Any) -> dict[str, Any]:
        from ..command import get_command
        from ..settings import setting

        if get_command() != "revision" or (value := setting("online")) in ("", "false"):
            return {}
        postgresql = part("online", connection.dialect.name)
        if value != "true" or not postgresql:
            from alembic.util import CommandError

            raise CommandError(
                f"online is {value!r}: it must be true or false, and true on PostgreSQL only. "
                "Use `-x online=false`, or correct `online` in alembic.ini"
            )
        return {"process_revision_directives": postgresql.process_revision_directives}

    def before(self, connection: Any, options: dict[str, Any]) -> None:
        from ..command import get_command

        postgresql = part("online", connection.dialect.name)
        if postgresql and get_command() == "check":
            postgresql.warn_of_invalid_indexes(connection)

    def around(self, connection: Any) -> AbstractContextManager[None]:
        from ..command import is_read_only

        postgresql = part("online", connection.dialect.name)
        if not postgresql or is_read_only() or connection.in_transaction():
            return nullcontext()
        builds: AbstractContextManager[None] = postgresql.builds(connection)
        return builds


room = Online()
