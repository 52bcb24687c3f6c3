"""One process migrates at a time: the others wait, and then find nothing to do."""

import asyncio
import logging
import time
from collections.abc import Callable

from alembic.util import CommandError
from sqlalchemy import Connection

log = logging.getLogger(f"alembic.{__name__}")

PAUSE = 0.1  # seconds between two tries


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

    Raises:
        CommandError: if another process holds the lock for all `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    waited = False
    while not try_lock():
        if time.monotonic() >= deadline:
            raise CommandError(
                f"timed out after {timeout:g} s: another process is migrating this database. "
                "Wait for it, or run again with `-x lock_timeout=SECONDS`"
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
