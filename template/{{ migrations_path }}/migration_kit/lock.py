"""One process migrates at a time: the others wait, and then find nothing to do."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from .command import is_read_only
from .dialects import Database
from .settings import get_seconds

log = logging.getLogger(f"alembic.{__name__}")

PAUSE = 0.1  # seconds between two tries


def migration_lock(
    database: Database, connection: Connection
) -> AbstractContextManager[None]:
    """Hold the database's migration lock; it ends with the connection, also by `kill -9`.

    Setting `lock_timeout`: seconds to wait for it, 300 by default. Setting `lock`: `none` where
    only one job migrates; SQLite's lock is its transaction, and stays.

    Args:
        database: its kind.
        connection: the connection that migrates. In a transaction of the caller, PostgreSQL
            holds the lock until its end, and SQLite is left to the caller.

    Raises:
        CommandError: if another process holds the lock all the time, or if the database
            cannot hold a lock.
    """
    if is_read_only() or (one_job_migrates() and database.is_server):
        return nullcontext()
    return database.lock(connection, get_seconds("lock_timeout", 300))


def one_job_migrates() -> bool:
    """Return whether the setting `lock` says that no lock is needed.

    Raises:
        CommandError: if it has another value than `none`.
    """
    value = context.get_x_argument(as_dictionary=True).get(
        "lock", context.config.get_main_option("lock", "")
    )
    if value not in {"", "none"}:
        raise CommandError(
            f"lock is {value!r}; leave it out, or write none where only one job migrates"
        )
    if value:
        log.warning("lock = none: nothing keeps two processes from migrating at once")
    return bool(value)


def wait(
    connection: Connection,
    try_lock: Callable[[], bool],
    timeout: float,
    quiet: bool = False,
) -> bool:
    """Try until it works; a statement that waits in the server would hold a snapshot.

    CREATE INDEX CONCURRENTLY in the process that migrates waits for all older snapshots: with
    a waiting `pg_advisory_lock` the two would wait for each other.

    Returns:
        Whether it had to wait.
    """
    deadline = time.monotonic() + timeout
    waited = False
    while not try_lock():
        if time.monotonic() >= deadline:
            raise CommandError(
                f"another process still migrates this database after {timeout:g} s; "
                "wait for it, or allow more time with -x lock_timeout=SECONDS"
            )
        if not (waited or quiet):
            log.info("Waiting up to %g s for another process that migrates", timeout)
        waited = True
        pause(connection, PAUSE)
    return waited


def pause(connection: Connection, seconds: float) -> None:
    """Sleep, and let the event loop of an async driver run at the same time."""
    if connection.dialect.is_async:
        from sqlalchemy.util import await_only

        await_only(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)
