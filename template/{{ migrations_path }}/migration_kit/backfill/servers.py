"""What PostgreSQL, MySQL and MariaDB have in common: a lock for the time of a backfill."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from .records import runs_already

LOCK_TIMEOUT = (
    1  # seconds that a batch waits for a row that another session has changed
)


@contextmanager
def lock(connection: Connection, name: str, take: str, release: str) -> Iterator[None]:
    """Hold a lock of the session.

    Args:
        connection: to the database, in no transaction.
        name: of the backfill, with its version table and schema.
        take: the query that takes the lock, if no session holds it.
        release: the one that gives it back.

    Raises:
        CommandError: if another process holds it.
    """
    if not connection.exec_driver_sql(take).scalar():
        raise CommandError(runs_already(name.rpartition(".")[2]))
    connection.commit()
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # with the connection, the lock is gone
            connection.rollback()
            connection.exec_driver_sql(release)
            connection.commit()


def digest(name: str) -> bytes:
    """Return 8 bytes for a name of any length."""
    return blake2b(name.encode(), digest_size=8).digest()
