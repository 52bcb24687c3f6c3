"""SQLite: copying a table deletes no row of another, and no row is left without its parent."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy import Connection

from .command import is_read_only, is_up_to_date


@contextmanager
def foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Let batch operations drop and recreate a table on SQLite without touching its children.

    With `PRAGMA foreign_keys=ON`, dropping the old copy of a table deletes the rows that refer
    to it with ON DELETE CASCADE, and nulls those with SET NULL, without an error. SQLite ignores
    the pragma inside a transaction.

    Raises:
        CommandError: if the caller's transaction keeps the pragma from being switched off.
    """
    if connection.dialect.name != "sqlite" or is_read_only():
        yield
        return
    in_transaction = connection.in_transaction()
    enforced = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
    if enforced and in_transaction:
        raise CommandError(
            "the transaction enforces foreign keys, so that copying a table could delete rows "
            "of others; pass an engine, or a connection with PRAGMA foreign_keys=OFF"
        )
    if not in_transaction:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.commit()
    try:
        yield
    finally:
        if enforced:
            connection.rollback()
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.commit()


@contextmanager
def foreign_key_check(connection: Connection) -> Iterator[None]:
    """Stop before the commit if rows lost their parents; older broken rows do not count.

    Raises:
        CommandError: naming the tables.
    """
    if connection.dialect.name != "sqlite" or is_read_only() or is_up_to_date():
        yield
        return
    statement = "PRAGMA foreign_key_check"
    before = {tuple(row) for row in connection.exec_driver_sql(statement)}
    yield
    broken = {tuple(row) for row in connection.exec_driver_sql(statement)} - before
    if broken:
        tables = ", ".join(sorted({f"{row[0]} → {row[2]}" for row in broken}))
        raise CommandError(
            f"rolled back: {len(broken)} rows would refer to nothing ({tables}); "
            "let the revision mend or delete them"
        )
