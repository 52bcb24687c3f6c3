"""What runs with a revision: what it looks for first, and how indexes are built."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...catalogs import plain
from ...catalogs.postgresql import undone
from ...command import is_autocommit
from ...settings import get_seconds

log = logging.getLogger(f"alembic.{__name__}")

# What a build needs of its session: no end but its own, and that of a client that was killed.
BUILD = {"statement_timeout": "0", "client_connection_check_interval": "1000"}
SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE name = ANY(CAST(:names AS text[]))"
)
SET = "SELECT set_config(:name, :value, :is_local)"

NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
CREATE = re.compile(
    rf"\s*CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?({NAME}) ON ({NAME}\.)?"
)
IS_THERE = "42P07"

INVALID = """
SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
AND NOT EXISTS (
    SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid
) AND (CAST(:name AS text) IS NULL OR c.oid = to_regclass(CAST(:name AS text))) ORDER BY 1
"""


def process_revision_directives(*arguments: Any) -> None:
    """Split a revision; only `alembic revision` has to import how."""
    from .stages import split

    split(*arguments)


def require_no_row(table: str, condition: str) -> None:
    """Let a revision run only if no row of a table is such; call it before what locks.

    PostgreSQL refuses to change any row that breaks a constraint, even one that is not valid yet.

    Args:
        table: its name in SQL.
        condition: in SQL.

    Raises:
        CommandError: with the query that shows the rows.
    """
    migration = context.get_context()
    query = f"SELECT * FROM {table} WHERE {condition}"
    if migration.as_sql:
        if migration.impl.output_buffer:
            migration.impl.static_output(f"-- First, no row may match: {query};")
        return
    assert migration.connection is not None
    if migration.connection.execute(plain(f"{query} LIMIT 1")).first() is not None:
        raise CommandError(
            f"rows of {table} break what this revision adds: `{query}` finds them. Correct "
            "them, then run the same command again. This revision changed nothing"
        )


def lock_tables(*tables: str) -> None:
    """Lock several tables in use within `ddl_lock_timeout` in all, and not for each one.

    Who waits for the first one does not wait until the last one is free.

    Args:
        tables: their names in SQL.
    """
    migration = context.get_context()
    timeout = get_seconds("ddl_lock_timeout", 5)
    deadline = time.monotonic() + timeout
    for table in tables:
        left = timeout if migration.as_sql else deadline - time.monotonic()
        migration.execute(f"SET LOCAL lock_timeout = {max(1, int(left * 1000))}")
        migration.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    migration.execute(f"SET LOCAL lock_timeout = {int(timeout * 1000)}")


def warn_of_invalid_indexes(connection: Connection) -> None:
    """Name each index that PostgreSQL does not use, and the command that repairs it."""
    callers_transaction, rows = connection.in_transaction(), []
    with suppress(DBAPIError), undone(connection):  # others speak its protocol as well
        rows = [*connection.execute(text(INVALID), {"name": None})]
    for index, table in rows:
        copied = re.search(r'_cc(new|old)\d*"?$', index)  # REINDEX has left it
        repair = f"{'DROP' if copied else 'REINDEX'} INDEX CONCURRENTLY {index}"
        log.warning(
            "index %s of %s is not valid: its build stopped. Run `%s`",
            index,
            table,
            repair,
        )
    if not callers_transaction:
        connection.rollback()


@contextmanager
def builds(connection: Connection) -> Iterator[None]:
    """Give the statements of autocommit blocks the settings of a build.

    An index that fails for its rows is dropped, for it would go on refusing new ones.
    """
    changed: set[str] = set()

    def begin(connection: Connection) -> None:
        for name, value in BUILD.items() if is_autocommit(connection) else ():
            with suppress(DBAPIError):  # older servers, and other systems, lack one
                connection.execute(text(f"SET {name} = {value}"))
                changed.add(name)
        if not is_autocommit(connection):
            reset(connection)

    def reset(connection: Connection) -> None:
        for name in changed:
            connection.execute(text(f"RESET {name}"))

    event.listen(connection, "begin", begin)
    try:
        yield
    except Exception as error:
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        if isinstance(cause, DBAPIError) and not cause.connection_invalidated:
            connection.rollback()
            with suppress(SQLAlchemyError):  # the first error counts
                drop_failed_index(connection, cause)
        raise
    finally:
        event.remove(connection, "begin", begin)
        with suppress(SQLAlchemyError):  # with the connection, its settings are gone
            connection.rollback()
            reset(connection)
            connection.commit()


def drop_failed_index(connection: Connection, error: DBAPIError) -> None:
    """Drop the invalid index that a statement has left."""
    found = CREATE.match(error.statement or "")
    if not found or getattr(error.orig, "sqlstate", None) == IS_THERE:
        return
    name = f"{found[2] or ''}{found[1]}"  # it is in the schema of its table
    with context.get_context().autocommit_block():
        if connection.execute(text(INVALID), {"name": name}).first():
            connection.execute(plain(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
