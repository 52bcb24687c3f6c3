"""One clear error if tasks or threads share the connection of a test's session."""

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, ExceptionContext, event

if TYPE_CHECKING:  # importing it takes greenlet, which a sync project need not install
    from sqlalchemy.ext.asyncio import AsyncConnection

__tracebackhide__ = True  # pytest shows the line of the test instead

NOT_SHARED = (
    "tasks or threads share the one connection of this test's session. Use the `{}` fixture "
    "instead, and open a session in each of them"
)

# The threads whose statements run.
running: "WeakKeyDictionary[Connection, list[int]]" = WeakKeyDictionary()


def refuse_sharing(connection: Connection, fixture: str = "fresh_database") -> None:
    """Raise RuntimeError instead of an obscure error of the driver or the server.

    That is a savepoint that ended with another session's, or a second thread's statement. Sessions
    within each other work, whichever task or thread each is in.

    Args:
        connection: the one that the application's sessions join.
        fixture: the one to use instead.
    """
    savepoints: list[str] = []

    def run(connection: Connection, _: Any, statement: str, *__: Any) -> None:
        threads = running.setdefault(connection, [])
        if alone := set(threads) <= {get_ident()}:
            threads.append(get_ident())
        does, _, name = statement.partition("SAVEPOINT ")
        ends = does in {"RELEASE ", "ROLLBACK TO "}
        if not alone or (ends and name not in savepoints):
            raise RuntimeError(NOT_SHARED.format(fixture))
        if ends:
            del savepoints[savepoints.index(name) :]
        elif not does:
            savepoints.append(name)

    event.listen(connection, "before_cursor_execute", run)
    event.listen(connection, "after_cursor_execute", succeed)
    event.listen(connection.engine, "handle_error", fail)


def succeed(connection: Connection, *_: Any) -> None:
    if get_ident() in (threads := running.get(connection, [])):
        threads.remove(get_ident())


def fail(context: ExceptionContext) -> None:
    if context.connection is not None:
        succeed(context.connection)


async def wait_for_tasks(connection: "AsyncConnection") -> None:
    """Wait for statements of tasks that a failed test has left, for some seconds."""
    for _ in range(500):
        if not running.get(await connection.run_sync(lambda sync: sync)):
            return
        await asyncio.sleep(0.01)


def explain_sharing(error: BaseException) -> None:
    """Add a note to what SQLAlchemy says of a session that several tasks or threads use."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            explain_sharing(each)
    elif getattr(error, "code", None) == "isce":
        error.add_note(NOT_SHARED.format("fresh_database"))
