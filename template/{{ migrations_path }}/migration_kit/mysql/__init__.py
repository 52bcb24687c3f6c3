"""MySQL and MariaDB: they cannot roll DDL back, and statements do not wait for long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from ..dialects import FILL_FIRST, ONE_EACH
from ..servers import Server
from .lock import mysql_lock

# MySQL keeps this since 8.0, MariaDB only if it is told to.
USERS = """
SELECT DISTINCT l.object_name, t.processlist_id, t.processlist_user, t.processlist_command
FROM performance_schema.metadata_locks l
JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id
WHERE l.lock_status = 'GRANTED' AND t.processlist_id <> CONNECTION_ID()
AND l.object_schema = DATABASE() AND LOCATE(l.object_name, :statement) > 0
"""

# Else who may be it: the oldest transactions of this database. It takes the privilege PROCESS.
TRANSACTIONS = """
SELECT 'an open transaction', p.id, p.user, p.command
FROM information_schema.innodb_trx t
JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
WHERE p.id <> CONNECTION_ID() AND p.db = DATABASE() ORDER BY t.trx_started LIMIT 3
"""


class MySQL(Server):
    """MySQL and MariaDB."""

    aftermath = (
        "MySQL and MariaDB cannot roll back DDL, so its earlier statements remain. Undo them by "
        "hand, or make each step of the revision repeatable (if_not_exists) and run it again"
    )
    users = [USERS, TRANSACTIONS]
    unseen = "SHOW PROCESSLIST shows it to a user with the PROCESS privilege"
    remedies = {
        "wsrep has not yet": "This node has lost its cluster: use another one in {source}"
    } | Server.remedies
    hints = {
        "Invalid use of NULL": FILL_FIRST,
        r"Data truncated for column.*(\n\s*|SQL: )ALTER": "Some rows have NULL, or a value that the "
        "new type cannot hold: UPDATE them first",
        # The server names what follows the first statement, unless that is a trigger's body.
        r"(?is)near '(.{6})(?!.*\bBEGIN\b).*;\s*\1": ONE_EACH,
    }

    hold = mysql_lock

    @contextmanager
    def session(
        self, connection: Connection, timeout: float
    ) -> Iterator[Callable[[], bool]]:
        """Set `lock_wait_timeout` of the session for this time; nothing is ever rolled back."""
        callers_transaction = connection.in_transaction()
        variable = "@@SESSION.lock_wait_timeout"
        before = connection.exec_driver_sql(f"SELECT {variable}").scalar()
        connection.exec_driver_sql(f"SET {variable} = {max(1, round(timeout))}")
        if not callers_transaction:
            connection.commit()
        try:
            yield lambda: False
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql(f"SET {variable} = {before}")


database = MySQL()
