"""Find a pooler that gives each transaction another session: no lock of a session holds there."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, PoolProxiedConnection

ROUNDS = 5
PATIENCE = 3  # seconds to wait for a second session; the pool may have no room for it

DIRECTLY = "Connect to PostgreSQL directly, not through PgBouncer in transaction mode"


def refuse_pooler(connection: Connection, pid: int) -> None:
    """Refuse a connection that has one session in this transaction and another in the next.

    Args:
        connection: to PostgreSQL, in no transaction.
        pid: the process of the server that served it last.

    Raises:
        CommandError: if it is such a connection.
    """
    # If nothing is in between, the driver knows the process.
    if driver_pid(connection) != pid and shares_sessions(connection, pid):
        raise CommandError(
            "the connection changes its session between transactions, so no lock holds. "
            f"{DIRECTLY}"
        )


def driver_pid(connection: Connection) -> int | None:
    """Return the server's process that the driver was told when it connected, or None."""
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    return getattr(getattr(driver, "info", None), "backend_pid", None)  # psycopg


def shares_sessions(connection: Connection, pid: int) -> bool:
    """Return whether a connection gets another session, or a second one gets that of the first.

    In session mode, two connections that ask in turn always name the same two processes. In
    transaction mode, one soon gets what the other has just left.
    """
    first, second = connection.connection, None
    ours, theirs = {pid}, set[int]()
    try:
        # A pool of the caller's may have no room for a second connection.
        second = connection.engine.pool.recreate().connect()
        with cut_off(second, is_async=connection.dialect.is_async):
            ask(second)
        for _ in range(ROUNDS):
            theirs.add(ask(second))
            ours |= {ask(first), ask(first)}
            if len(ours) > 1 or len(theirs) > 1 or ours & theirs:
                return True
        return False
    except (connection.dialect.loaded_dbapi.Error, OSError) as error:
        # Prepared statements stay in a session, where the next client runs into them.
        if "prepared statement" in str(error):
            return True
        # A pool in session mode that has no room for the second: the first keeps its own.
        return any(ask(first) != pid for _ in range(ROUNDS))
    finally:
        if second:
            second.invalidate()


def ask(connection: PoolProxiedConnection) -> int:
    """Return the server's process that serves one transaction."""
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    [pid] = cursor.fetchone() or [0]
    cursor.close()
    connection.rollback()
    return int(pid)


@contextmanager
def cut_off(connection: PoolProxiedConnection, is_async: bool) -> Iterator[None]:
    """Close a connection that gets no answer in time."""
    driver: Any = connection.driver_connection

    def shut_down() -> None:
        with socket.fromfd(driver.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy:
            copy.shutdown(socket.SHUT_RDWR)

    close: Callable[[], Any] = getattr(driver, "terminate", shut_down)  # asyncpg
    if is_async:
        close = partial(asyncio.get_running_loop().call_soon_threadsafe, close)
    timer = threading.Timer(PATIENCE, close)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
