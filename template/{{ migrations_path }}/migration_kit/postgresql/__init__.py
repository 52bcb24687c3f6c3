"""PostgreSQL: one transaction for each revision, and statements that do not wait for long."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from alembic import context
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import SQLAlchemyError

from ..command import after_each_revision, get_command, is_autocommit
from ..dialects import FILL_FIRST, ONE_EACH
from ..servers import Server
from ..settings import get_seconds, setting
from .lock import postgresql_lock
from .pooler import DIRECTLY

# A driver's own statement is in another session; a revision may PREPARE others.
PREPARED = {'prepared statement "_+(pg3|asyncpg)_|unnamed prepared': DIRECTLY}

# Who uses the table that a statement waited for: table, process, name and state.
USERS = """
SELECT DISTINCT c.relname, a.pid, coalesce(nullif(a.application_name, ''), a.usename), a.state
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND position(c.relname IN :statement) > 0
"""

# Its result has the values before.
CONFIGURE = text("""
SELECT current_setting('lock_timeout'), current_setting('synchronous_commit'),
set_config('lock_timeout', :limit, false), set_config('synchronous_commit',
coalesce(:commit, current_setting('synchronous_commit')), false)
""")


class PostgreSQL(Server):
    """One transaction for each revision, so that a long upgrade holds its locks for a short time.

    Even in an empty database: only after the commit a revision may use an ENUM's value that the
    previous one added, or alter a table whose deferred constraints it has to check.
    """

    aftermath = "Its open transaction was rolled back"
    users = [USERS]
    unseen = "pg_stat_activity shows it, unless it has ended"
    remedies = {
        "'cockroachdb": "Run `uv add sqlalchemy-cockroachdb`, and start {source} with "
        "cockroachdb://. It has no lock: migrate from one job only, with `-x lock=none`",
        "could not determine version": "Name the server's SQLAlchemy dialect in {source}",
        "read-only|standby|target attribute": "Add the primary's host to {source}",
        "role .* (does not exist|not permitted)": "Create that user with LOGIN, or correct "
        "the user in {source}",
        **PREPARED,
        **Server.remedies,
    }
    hints = {
        **PREPARED,
        "contains null values": FILL_FIRST,
        r"(type|function|operator class|access method) .+ does not exist": "If an extension has it, "
        "run op.execute('CREATE EXTENSION IF NOT EXISTS ...') first",
        "insert multiple commands": ONE_EACH,
    }

    hold = postgresql_lock

    @contextmanager
    def session(
        self, connection: Connection, timeout: float
    ) -> Iterator[Callable[[], bool]]:
        """Set `lock_timeout` for this time; yield whether the last revision left nothing.

        Once for the session, because a statement in each transaction is felt in a long history. An
        autocommit block has none: a CREATE INDEX CONCURRENTLY that gives up leaves an invalid index
        behind. A transaction of the caller is left as it is. An upgrade waits for the disk at its
        end: a server that crashes before that may forget the last revisions, each as a whole.
        """
        if connection.in_transaction():
            yield lambda: False
            return
        limit = f"{int(timeout * 1000)}ms"
        # A pooler, which only the lock refuses, would hand the setting to another client.
        is_fast = get_command() == "upgrade" and not setting("lock")
        before = configure(connection, limit, "off" if is_fast else None)
        connection.commit()  # what is set in a transaction is gone when that is rolled back
        whole, in_session, changed = True, True, False

        def begin(connection: Connection) -> None:
            nonlocal whole, in_session
            if is_autocommit(connection):
                whole = in_session = False
                configure(connection, before[0], None)
            elif not in_session:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{limit}'")

        def revision_ended(**_: object) -> None:
            nonlocal whole, changed
            whole = changed = True

        after_each_revision(revision_ended)
        event.listen(connection, "begin", begin)
        try:
            yield lambda: whole
            connection.commit()  # what ran outside a revision
        finally:
            event.remove(connection, "begin", begin)
            with suppress(SQLAlchemyError):  # with the connection, the setting is gone
                connection.rollback()
                configure(connection, *before)
                if changed and is_fast:  # a commit that writes waits for all before it
                    version_table = context.get_context()._version
                    connection.execute(select(version_table).with_for_update())
                connection.commit()

    def before_sql(self) -> None:
        impl, timeout = context.get_context().impl, get_seconds("ddl_lock_timeout", 5)
        statement = f"SET LOCAL lock_timeout = {int(timeout * 1000)}"
        emit_begin = impl.emit_begin

        def begin() -> None:
            emit_begin()  # after an autocommit block, whose COMMIT ended what was local
            context.execute(statement)

        context.execute(statement)
        impl.emit_begin = begin  # type: ignore[method-assign]

    def hint(self, error: Exception, message: str) -> str:
        names = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
        if "autocommit_block" in names and isinstance(error, AssertionError):
            return "It commits, and the transaction is yours. Give Alembic an engine"
        if "compare_registered_entities" in names:
            return (
                "alembic_utils tries each view and function on the database. Create the "
                "tables that it needs in an earlier revision, and upgrade first"
            )
        return super().hint(error, message)


def configure(connection: Connection, limit: str, commit: str | None) -> Sequence[str]:
    return connection.execute(CONFIGURE, {"limit": limit, "commit": commit}).one()[:2]


database = PostgreSQL()
