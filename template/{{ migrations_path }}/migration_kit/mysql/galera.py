"""A lock that holds on every node of a Galera cluster; a named lock holds on one of them."""

import time
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, event, text

from ..rooms import LOCK_TABLE
from ..servers import LOST

# The row is locked already: here, by a node that was first, or by one that was first to commit.
LOCKED = {1205, 1213, 1180}
NO_SUCH_TABLE = 1146

# The server must not end a transaction because it is idle; MySQL has one such variable only.
SESSION = """
SET SESSION wsrep_trx_fragment_unit = 'statements', wsrep_trx_fragment_size = 1,
innodb_lock_wait_timeout = 1, wait_timeout = 2147483
/*M!100300 , idle_transaction_timeout = 0, idle_write_transaction_timeout = 0 */
"""

PAUSE = 1  # seconds after which the next statement asks for the lock again

WAIT_FOR_OTHERS = 15  # each statement sees what was committed before it on any node


class ClusterLock:
    """The row of a table, locked by a transaction that streams.

    With streaming replication a statement is certified when it runs, and not only at the commit:
    the row is locked on every node until the transaction ends, and that ends with its connection,
    even by `kill -9`, or when its node leaves the cluster. DDL commits, so the
    transaction has its own connection.

    Args:
        connection: the one that migrates.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._error: type[Exception] = connection.dialect.loaded_dbapi.Error
        database = connection.scalar(text("SELECT DATABASE()"))
        quote = connection.dialect.identifier_preparer.quote
        self._table = f"{quote(str(database))}.{LOCK_TABLE}"
        self._seen = 0.0
        self._before: int | None = None
        # A pool of the caller's may have no room for a second connection.
        self._holder = connection.engine.pool.recreate().connect()
        self._execute(SESSION)

    def take(self) -> bool:
        """Try to lock the row, and return whether it is ours."""
        try:
            taken = self._update()
            if not taken:
                self._make_row()
                taken = self._update()
        except self._error as error:
            if code_of(error) not in LOCKED:
                raise
            self._holder.rollback()
            return False
        if taken:
            self._begin()
        return taken

    def release(self) -> None:
        """Unlock the row, and leave the session of the migrating connection as it was."""
        if self._before is not None:
            event.remove(self._connection, "before_cursor_execute", self._check)
            if not self._connection.invalidated:
                self._set_wait(self._before)
        try:
            self._holder.rollback()
        except self._error:
            pass  # with its connection the lock is gone
        finally:
            self._holder.invalidate()

    def _update(self) -> bool:
        self._execute("BEGIN")
        update = f"UPDATE {self._table} SET holders = holders + 1 WHERE id = 1"
        try:
            return self._execute(update) == 1
        except self._error as error:
            if code_of(error) != NO_SUCH_TABLE:
                raise
            return False

    def _make_row(self) -> None:
        columns = "id int PRIMARY KEY, holders bigint NOT NULL"
        create = f"CREATE TABLE IF NOT EXISTS {self._table} ({columns}) ENGINE = InnoDB"
        self._execute(create)
        self._execute(f"INSERT IGNORE INTO {self._table} VALUES (1, 0)")
        self._holder.commit()

    def _begin(self) -> None:
        variable = "@@SESSION.wsrep_sync_wait"
        self._before = self._connection.scalar(text(f"SELECT {variable}"))
        self._set_wait(WAIT_FOR_OTHERS)
        self._seen = time.monotonic()
        event.listen(self._connection, "before_cursor_execute", self._check)

    def _set_wait(self, value: int) -> None:
        self._connection.exec_driver_sql(f"SET SESSION wsrep_sync_wait = {value}")

    def _check(self, *_: Any) -> None:
        """Stop before a statement that would run without the lock; a proxy sees no idle one."""
        if time.monotonic() < self._seen + PAUSE:
            return
        try:
            self._execute(f"SELECT holders FROM {self._table} WHERE id = 1")
        except self._error as error:
            raise CommandError(LOST) from error
        self._seen = time.monotonic()

    def _execute(self, statement: str) -> int:
        cursor = self._holder.cursor()
        try:
            cursor.execute(statement)
            return cursor.rowcount
        finally:
            cursor.close()


def code_of(error: Exception) -> object:
    """Return the number of a server's error."""
    return next(iter(error.args), None)
