"""Test databases that a killed run left behind; the next run drops them."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

NAME = re.compile(r".+_test_[0-9a-f]{12}")


@contextmanager
def owner(server: str, database: str) -> Iterator[None]:
    """Lock a file in the temporary folder for as long as a database is used.

    The operating system ends the lock with the process, also by `kill -9`; a connection, or a
    number of a process, could be gone or another one's. So a file without a lock tells for certain
    that its database is used by nobody, and only who made the database has the file: not
    another machine, nor a container with its own temporary folder. Windows has no such lock.

    Args:
        server: where the database is.
        database: its name.
    """
    if sys.platform == "win32":
        yield
        return
    path = path_of(database)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with open(descriptor, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(server)
        file.flush()
        os.rename(temporary, path)  # nobody finds it before it is locked
        try:
            yield
        finally:
            forget(database)


def leftovers(server: str) -> Iterator[str]:
    """Yield the names of a server's databases whose owner has died; they are locked meanwhile."""
    if sys.platform == "win32":
        return
    for path in Path(tempfile.gettempdir()).glob("*.lock"):
        if not NAME.fullmatch(path.stem):
            continue
        try:
            with open(path) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                own = os.fstat(file.fileno()).st_uid == os.getuid()
                if own and file.read() == server:
                    yield path.stem
        except OSError:
            continue  # its owner lives, or is another user


def forget(database: str) -> None:
    """Remove the file of a database that is dropped."""
    path_of(database).unlink(missing_ok=True)


def path_of(database: str) -> Path:
    return Path(tempfile.gettempdir(), f"{database}.lock")
