"""Scratch databases that a killed run left behind; the next run drops them."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alembic.util import CommandError

if sys.platform != "win32":
    import fcntl

# The servers where this process has dropped what others left.
cleaned: set[str] = set()


@contextmanager
def owner(server: str, database: str) -> Iterator[None]:
    """Lock a file in the temporary folder for as long as a database is used.

    The operating system ends the lock with the process, even after `kill -9`. So a file without a
    lock proves that its database is unused, and only the machine that made the database has the
    file, not another machine or a container with its own temporary folder. Windows has no such lock.
    """
    if sys.platform == "win32":
        yield
        return
    path = Path(tempfile.gettempdir(), f"{database}.lock")
    with open(path, "w") as file:
        # Locked before it names a server, or another run would find it.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(server)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def drop_leftovers(server: str, drop: Callable[[str], None]) -> None:
    """Drop, once in a run, the databases of a server whose owner has died."""
    if sys.platform == "win32" or server in cleaned:
        return
    cleaned.add(server)
    for path in Path(tempfile.gettempdir()).glob("*_test_*.lock"):
        # Else its owner lives or is another user, or the server refuses.
        with suppress(OSError, CommandError), open(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            own = os.fstat(file.fileno()).st_uid == os.getuid()
            if own and file.read() == server:
                drop(path.stem)
                path.unlink()
