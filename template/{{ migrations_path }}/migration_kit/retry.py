"""Transactions of a migration, and patience with tables that others use."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, Row, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .command import (
    after_each_revision,
    is_first_upgrade,
    is_read_only,
    newest_revisions,
)
from .lock import pause
from .settings import get_seconds

log = logging.getLogger(f"alembic.{__name__}")

RETRIES = 3

# Who uses the table that a statement waited for: table, process, name and state.
USERS_POSTGRESQL = """
SELECT DISTINCT c.relname, a.pid, coalesce(nullif(a.application_name, ''), a.usename), a.state
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND position(c.relname IN :statement) > 0
"""

# MySQL keeps this since 8.0, MariaDB only if it is told to.
USERS_MYSQL = """
SELECT DISTINCT l.object_name, t.processlist_id, t.processlist_user, t.processlist_command
FROM performance_schema.metadata_locks l
JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id
WHERE l.lock_status = 'GRANTED' AND t.processlist_id <> CONNECTION_ID()
AND l.object_schema = DATABASE() AND LOCATE(l.object_name, :statement) > 0
"""

# Else who may be it: the oldest transactions of this database. It takes the privilege PROCESS.
TRANSACTIONS_MYSQL = """
SELECT 'an open transaction', p.id, p.user, p.command
FROM information_schema.innodb_trx t
JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
WHERE p.id <> CONNECTION_ID() AND p.db = DATABASE() ORDER BY t.trx_started LIMIT 3
"""


def transaction_options(connection: Connection) -> dict[str, Any]:
    """Return how Alembic is to use transactions.

    SQLite rolls DDL back, although Alembic assumes otherwise; its lock ends with the
    transaction, so one is begun for all revisions. PostgreSQL has one for each revision, so
    that a long upgrade holds its locks for a short time. Also in an empty database, where
    nobody waits: a revision may use an ENUM's value that one before it added, or alter a table
    whose deferred constraints one before it has to check, only after the commit; and the
    server has room for the locks of some thousand tables and indexes in one transaction.
    """
    if connection.dialect.name == "sqlite":
        return {"transactional_ddl": True}
    return {"transaction_per_migration": True}


def limit_lock_waits_offline() -> None:
    """Write the waiting time of statements into the SQL of `--sql`, for PostgreSQL."""
    if context.get_context().dialect.name == "postgresql":
        context.execute(lock_timeout_statement(get_seconds("ddl_lock_timeout", 5)))


def lock_timeout_statement(seconds: float) -> str:
    return f"SET LOCAL lock_timeout = {int(seconds * 1000)}"


@contextmanager
def patience(
    connection: Connection,
) -> Iterator[Iterator[AbstractContextManager[None]]]:
    """Give contexts to migrate in, one for each try, until one succeeds.

    A DDL statement that waits for a busy table makes everybody wait who comes after it, so it
    gives up soon. PostgreSQL rolls its revision back, and the next try begins with it again.
    MySQL and MariaDB cannot roll back, so there the first try is the last.

    Setting `ddl_lock_timeout`: seconds that a statement waits for a table, 5 by default.

    Raises:
        CommandError: after the last try; it names the statement and who uses the table.
    """
    sessions = {
        "postgresql": postgresql_session,
        "mysql": mysql_session,
        "mariadb": mysql_session,
    }
    session = sessions.get(connection.dialect.name)
    if session is None or is_read_only():
        yield iter([nullcontext()])
        return
    timeout = get_seconds("ddl_lock_timeout", 5)
    with session(connection, timeout) as is_rolled_back:
        yield attempts(connection, timeout, is_rolled_back)


def attempts(
    connection: Connection, timeout: float, is_rolled_back: Callable[[], bool]
) -> Iterator[AbstractContextManager[None]]:
    for retry in range(RETRIES + 1):
        busy: list[DBAPIError] = []
        yield catch_lock_timeout(busy)
        if not busy:
            return
        rolled_back = is_rolled_back()
        if rolled_back:
            connection.rollback()
        if retry == RETRIES or not rolled_back:
            raise CommandError(explain(connection, busy[0], timeout)) from busy[0]
        seconds = timeout * 2**retry
        log.info("A table is busy; trying again in %g s", seconds)
        pause(connection, seconds)


@contextmanager
def catch_lock_timeout(busy: list[DBAPIError]) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not is_lock_timeout(error):
            raise
        busy.append(error)


def is_lock_timeout(error: DBAPIError) -> bool:
    """Tell whether a statement gave up waiting: PostgreSQL's 55P03, MySQL's 1205."""
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state == "55P03" or 1205 in getattr(error.orig, "args", ())


@contextmanager
def postgresql_session(
    connection: Connection, timeout: float
) -> Iterator[Callable[[], bool]]:
    """Set `lock_timeout` for this time; yield whether the last revision left nothing.

    Once for the session, because a statement in each transaction is felt in a long history. An
    autocommit block goes without: a CREATE INDEX CONCURRENTLY that gives up leaves an invalid
    index behind. A transaction of the caller is left as it is.

    The first upgrade does not wait for the disk at each commit but the last one, which waits
    for all: if the server dies meanwhile, the last revisions are lost as a whole, and
    the next upgrade begins with them. Source: PostgreSQL's documentation of asynchronous commit.
    """
    if connection.in_transaction():
        yield lambda: False
        return
    settings = "lock_timeout", "synchronous_commit"
    before = {name: connection.scalar(text(f"SHOW {name}")) for name in settings}
    set_for_session(connection, {"lock_timeout": f"{int(timeout * 1000)}ms"})
    first = is_first_upgrade()
    if first:
        set_for_session(connection, {"synchronous_commit": "off"})
    connection.commit()  # what is set in a transaction is gone when that is rolled back
    whole = in_session = True

    def begin(connection: Connection) -> None:
        nonlocal whole, in_session
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            whole = in_session = False
            set_for_session(connection, {"lock_timeout": before["lock_timeout"]})
        elif not in_session:
            connection.exec_driver_sql(lock_timeout_statement(timeout))

    def revision_ended(*, heads: set[str], **_: object) -> None:
        nonlocal whole
        whole = True
        if first and heads == newest_revisions():
            waits = before["synchronous_commit"]
            set_for_session(connection, {"synchronous_commit": waits})

    after_each_revision(revision_ended)
    event.listen(connection, "begin", begin)
    try:
        yield lambda: whole
        connection.commit()  # what ran outside a revision
    finally:
        event.remove(connection, "begin", begin)
        with suppress(SQLAlchemyError):  # with the connection, the settings are gone
            connection.rollback()
            set_for_session(connection, before)
            connection.commit()


def set_for_session(connection: Connection, settings: dict[str, Any]) -> None:
    calls = ", ".join(f"set_config('{name}', :{name}, false)" for name in settings)
    connection.execute(text(f"SELECT {calls}"), settings)


@contextmanager
def mysql_session(
    connection: Connection, timeout: float
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


def explain(connection: Connection, error: DBAPIError, timeout: float) -> str:
    """Tell which statement waited, and who uses the table."""
    statement = " ".join((error.statement or "").split())
    return (
        f"{statement[:100]!r} waited {timeout:g} s for a table that another session uses: "
        f"{users_of_table(connection, statement)}; "
        "end that session or come back later; -x ddl_lock_timeout=SECONDS waits longer"
    )


def users_of_table(connection: Connection, statement: str) -> str:
    """Name the sessions that use a table of the statement, as far as our user may see them."""
    callers_transaction = connection.in_transaction()
    if connection.dialect.name != "postgresql":
        queries = [USERS_MYSQL, TRANSACTIONS_MYSQL]
        unseen = "SHOW PROCESSLIST shows it to a user with the privilege PROCESS"
    elif callers_transaction:  # which takes no more statements
        queries, unseen = [], "pg_stat_activity shows it"
    else:
        queries, unseen = [USERS_POSTGRESQL], "it has gone meanwhile"
    for query in queries:
        rows: Sequence[Row[Any]] = ()
        with suppress(DBAPIError):  # not every user may look everywhere
            rows = connection.execute(text(query), {"statement": statement}).all()
        if not callers_transaction:
            connection.rollback()
        if rows:
            return ", ".join("{} (process {}, {}, {})".format(*row) for row in rows)
    return unseen
