"""The named lock of MySQL and MariaDB, and on a Galera cluster a lock on all nodes as well."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..dialects import no_lock
from ..lock import wait
from ..servers import LOST, refuse_without_lock
from .galera import ClusterLock

# The server has one name space for all databases, and names of up to 64 characters.
NAME = "CONCAT('alembic-', MD5(DATABASE()))"

# A MariaDB may be built without the variable; MySQL has none, except for Galera's own.
IS_GALERA_MARIADB = (
    "(SELECT variable_value = 'ON' FROM information_schema.session_variables "
    "WHERE variable_name = 'wsrep_on')"
)
IS_GALERA_MYSQL = "LOCATE('wsrep', LOWER(@@version_comment))"

WITHOUT_LOCK = [("TiDB before 6.1", r"-TiDB-v(\d+)\.(\d+)", (6, 1))]


@contextmanager
def mysql_lock(self: object, connection: Connection, timeout: float) -> Iterator[None]:
    """Hold a named lock of the session, and on a Galera cluster a lock on all nodes as well."""
    lock = NamedLock(connection)
    released = False
    try:
        wait(connection, lock.take, timeout)
        yield
    finally:
        released = lock.release()
    if not released:
        raise CommandError(LOST)


class NamedLock:
    """The lock of MySQL and MariaDB.

    Args:
        connection: the one that migrates; a transaction on it stays the caller's.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._callers_transaction = connection.in_transaction()
        self._named = False
        self._cluster: ClusterLock | None = None
        self._is_refused = False

    def take(self) -> bool:
        """Try to lock, and return whether it is ours."""
        if not (self._named or self._is_refused):
            self._named, clustered = self._get_lock()
            if clustered and self._cluster is None:
                self._cluster = ClusterLock(self._connection)
        held = self._named or self._is_refused
        if held and self._cluster:
            held = self._cluster.take()
        self._commit()
        return held

    def release(self) -> bool:
        """Unlock, and return whether the lock was still ours."""
        if not self._callers_transaction:
            self._connection.rollback()
        if self._cluster:
            self._cluster.release()
        released = self._is_refused
        if not self._connection.invalidated:
            if self._named:
                release = text(f"SELECT RELEASE_LOCK({NAME})")
                released = self._connection.scalar(release) == 1
            self._commit()
        return released

    def _get_lock(self) -> tuple[bool, bool]:
        """Try it, and find in the same statement whether the server is a node of a cluster."""
        mariadb = getattr(self._connection.dialect, "is_mariadb", False)
        clustered = IS_GALERA_MARIADB if mariadb else IS_GALERA_MYSQL
        try:
            row = self._connection.execute(
                text(f"SELECT GET_LOCK({NAME}, 0), {clustered}, VERSION()")
            ).one()
        except DBAPIError as error:
            self._is_refused = "cluster" in str(error.orig).lower()
            if "noop" in str(error.orig):  # of TiDB
                raise no_lock("TiDB before 6.1") from error
            if not self._is_refused:
                raise
            return False, True
        refuse_without_lock(row[2], WITHOUT_LOCK)
        return row[0] == 1, bool(row[1])

    def _commit(self) -> None:
        if not self._callers_transaction:
            self._connection.commit()
