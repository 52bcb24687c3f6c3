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

        ours = ("table", READY_TABLE)  # Alembic without `autogenerate` would drop it
        return {"include_name": lambda name, kind, _: (kind, name) != ours}

    @contextmanager
    def around(self, connection: Any) -> Iterator[None]:
        from alembic import context
        from sqlalchemy import event

        from ..rooms import READY_TABLE

        def forget(_: Any) -> None:
            context.get_context().opts.pop(READY_TABLE, None)

        def listen(_: Any, __: Any, statement: str, *___: Any) -> None:
            self.statements.append(statement)

        listeners: dict[str, Any] = {
            "rollback": forget,
            "before_cursor_execute": listen,
        }
        self.statements.clear()
        for name, function in listeners.items():
            event.listen(connection, name, function)
        try:
            yield
        finally:
            for name, function in listeners.items():
                event.remove(connection, name, function)

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
