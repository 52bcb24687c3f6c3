"""Ready: whether this code can run on the database, even if that is newer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..rooms import Room


class Ready(Room):
    """Records which older code can run on each revision, and has a command for probes."""

    def __init__(self) -> None:
        self.statements: list[str] = []  # of the revision that runs

    def options(self, connection: Any) -> dict[str, Any]:
        from ..rooms import READY_TABLE

        def include_name(name: str, type_: str, _: Any) -> bool:
            return (type_, name) != ("table", READY_TABLE)

        return {"include_name": include_name}  # for Alembic without `autogenerate`

    @contextmanager
    def around(self, connection: Any) -> Iterator[None]:
        from ..command import is_read_only

        if is_read_only():
            yield
            return
        from sqlalchemy import event

        def listen(_: Any, __: Any, statement: str, *___: Any) -> None:
            self.statements.append(statement)

        self.statements.clear()
        event.listen(connection, "before_cursor_execute", listen)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", listen)

    def after_revision(self, **step: Any) -> None:
        from .records import record

        record(step["ctx"], step["step"], self.statements)
        self.statements.clear()

    def remedy(self, script: Any, message: str) -> str:
        from .verdict import remedy_for_newer_database

        return remedy_for_newer_database(script, message)

    def add_commands(self, add_parser: Any) -> None:
        from .verdict import add_commands

        add_commands(add_parser)


room = Ready()
