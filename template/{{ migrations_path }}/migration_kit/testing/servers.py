"""Scratch databases on a server, next to the project's own."""

from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from ..connect import create_connectable, run_on
from ..errors import one_line
from .scratch import ScratchDatabase


def on_server(
    scratch: ScratchDatabase,
    statements: Callable[[Connection], Iterable[str]],
    database: str = "",
) -> None:
    """Run the statements that a function returns, each in its own transaction.

    Args:
        scratch: says which server.
        statements: gets a connection, for what it has to look up.
        database: to connect to.
    """

    def run(connection: Connection) -> None:
        connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
        for statement in statements(connection):
            connection.exec_driver_sql(statement)

    remedy = f"Allow the user to create databases, or set {scratch.variable}"
    with one_line("no database for tests", remedy):
        engine = create_connectable(scratch.url.set(database=database))
        run_on(engine, f"{scratch.variable}, else alembic.ini", run)
