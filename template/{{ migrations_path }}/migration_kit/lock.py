"""One process migrates at a time: the others wait, and then find nothing to do."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from .clusters import no_lock, one_job_migrates, refuse_without_lock
from .command import is_read_only
from .galera import LOST, ClusterLock
from .pooler import refuse_pooler
from .settings import get_seconds, tenant_schema

log = logging.getLogger(f"alembic.{__name__}")

PAUSE = 0.1  # seconds between two tries

# One per database, and per tenant; any number will do that every process knows.
POSTGRESQL_KEY = int.from_bytes(b"alembic")

# The server has one name space for all databases, and names of up to 64 characters.
MYSQL_NAME = "CONCAT('alembic-', MD5(DATABASE()))"

# A MariaDB may be built without the variable; MySQL has none, but for Galera a name of its own.
IS_GALERA_MARIADB = (
    "(SELECT variable_value = 'ON' FROM information_schema.session_variables "
    "WHERE variable_name = 'wsrep_on')"
)
IS_GALERA_MYSQL = "LOCATE('wsrep', LOWER(@@version_comment))"


@contextmanager
def migration_lock(connection: Connection) -> Iterator[None]:
    """Hold the database's migration lock; it ends with the connection, also by `kill -9`.

    Setting `lock_timeout`: seconds to wait for it, 300 by default. Setting `lock`: `none` where
    only one job migrates; SQLite's lock is its transaction, and stays.

    Args:
        connection: the connection that migrates. In a transaction of the caller, PostgreSQL
            holds the lock until its end, and SQLite is left to the caller.

    Raises:
        CommandError: if another process holds the lock all the time, or if the database
            cannot hold a lock.
    """
    if is_read_only():
        yield
        return
    timeout = get_seconds("lock_timeout", 300)
    match connection.dialect.name:
        case "sqlite" if connection.in_transaction():
            yield
        case "sqlite":
            with sqlite_lock(connection, timeout):
                yield
        case _ if one_job_migrates():
            yield
        case "postgresql":
            with postgresql_lock(connection, timeout):
                yield
        case "mysql" | "mariadb":
            with mysql_lock(connection, timeout):
                yield
        case name:
            raise no_lock(f"SQLAlchemy's dialect {name}")


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
    """Sleep, and let the event loop of an async driver run meanwhile."""
    if connection.dialect.is_async:
        from sqlalchemy.util import await_only

        await_only(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


@contextmanager
def postgresql_lock(connection: Connection, timeout: float) -> Iterator[None]:
    """Hold an advisory lock of the session, which outlives the commits of the revisions.

    In a transaction of the caller the lock is that transaction's, and ends with it.
    """
    callers_transaction = connection.in_transaction()
    server = connection.execute(
        text(
            "SELECT pg_is_in_recovery() AS standby, pg_backend_pid() AS pid, "
            "version() AS version"
        )
    ).one()
    if server.standby:
        raise CommandError("this server is a hot standby; connect to the primary")
    refuse_without_lock(server.version)

    def call(function: str) -> bool:
        key = {"key": postgresql_key()}
        value = bool(connection.scalar(text(f"SELECT {function}(:key)"), key))
        if not callers_transaction:
            connection.commit()
        return value

    # It has one session until its end, also through a pooler.
    if callers_transaction:
        wait(connection, lambda: call("pg_try_advisory_xact_lock"), timeout)
        yield
        return
    connection.commit()
    refuse_pooler(connection, server.pid)
    wait(connection, lambda: call("pg_try_advisory_lock"), timeout)
    released = False
    try:
        yield
    finally:
        connection.rollback()
        if not connection.invalidated:
            released = call("pg_advisory_unlock")
    if not released:
        raise CommandError(LOST)


def postgresql_key() -> int:
    """Return the number of the lock; tenants with a schema each do not wait for each other."""
    schema = tenant_schema()
    if schema is None:
        return POSTGRESQL_KEY
    digest = blake2b(schema.encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


@contextmanager
def mysql_lock(connection: Connection, timeout: float) -> Iterator[None]:
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
                release = text(f"SELECT RELEASE_LOCK({MYSQL_NAME})")
                released = self._connection.scalar(release) == 1
            self._commit()
        return released

    def _get_lock(self) -> tuple[bool, bool]:
        """Try it, and tell in the same statement whether the server is a node of a cluster."""
        mariadb = getattr(self._connection.dialect, "is_mariadb", False)
        clustered = IS_GALERA_MARIADB if mariadb else IS_GALERA_MYSQL
        try:
            row = self._connection.execute(
                text(f"SELECT GET_LOCK({MYSQL_NAME}, 0), {clustered}, VERSION()")
            ).one()
        except DBAPIError as error:
            self._is_refused = "cluster" in str(error.orig).lower()
            if "noop" in str(error.orig):  # of TiDB
                raise no_lock("TiDB before 6.1") from error
            if not self._is_refused:
                raise
            return False, True
        refuse_without_lock(row[2])
        return row[0] == 1, bool(row[1])

    def _commit(self) -> None:
        if not self._callers_transaction:
            self._connection.commit()


@contextmanager
def sqlite_lock(connection: Connection, timeout: float) -> Iterator[None]:
    """Begin each transaction as the one writer: lock and transactional DDL in one."""

    def try_begin() -> bool:
        cursor = connection.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except connection.dialect.loaded_dbapi.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
        finally:
            cursor.close()
        return True

    waited = False

    def begin_immediate(connection: Connection) -> None:
        nonlocal waited
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            set_busy_timeout(connection, 0)
            waited |= wait(connection, try_begin, timeout, quiet=waited)
            # A reader may delay the commit.
            set_busy_timeout(connection, timeout)

    event.listen(connection, "begin", begin_immediate)
    try:
        yield
    finally:
        connection.rollback()
        event.remove(connection, "begin", begin_immediate)


def set_busy_timeout(connection: Connection, seconds: float) -> None:
    """Let SQLite wait for a lock; outside SQLAlchemy, where no statement can begin now."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
    cursor.close()
