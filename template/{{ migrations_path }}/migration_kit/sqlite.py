"""SQLite: one transaction is for all revisions, and copying a table loses no row of another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import OperationalError

from .command import get_command, is_autocommit, is_read_only
from .dialects import FILL_FIRST, ONE_EACH, Database
from .lock import wait


class SQLite(Database):
    """SQLite rolls DDL back, although Alembic assumes otherwise."""

    aftermath = "Everything was rolled back"
    needs_lock = True
    remedies = {
        "unable to open database": "Check that its folder exists and that you may write to it",
        "": "Check that {source} names a SQLite database that no other process locks",
    }
    hints = {
        "NOT NULL constraint failed: _alembic_tmp|Cannot add a NOT NULL column": FILL_FIRST,
        "one statement at a time": ONE_EACH,
        "foreign key mismatch": "Make the columns that it refers to unique, together",
    }

    def options(self) -> dict[str, Any]:
        """Return that SQLite rolls DDL back."""
        return {"transactional_ddl": True}

    @contextmanager
    def around(self, connection: Connection) -> Iterator[None]:
        """Let batch operations drop and recreate a table without touching its children.

        With `PRAGMA foreign_keys=ON`, dropping the old copy of a table deletes the rows that refer
        to it with ON DELETE CASCADE, and nulls those with SET NULL, without an error. SQLite
        ignores the pragma inside a transaction.

        Raises:
            CommandError: if the caller's transaction keeps the pragma from being switched off.
        """
        if is_read_only():
            yield
            return
        in_transaction = connection.in_transaction()
        enforced = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
        if enforced and in_transaction:
            raise CommandError(
                "your transaction enforces foreign keys, so copying a table could delete rows of "
                "other tables. Pass an engine, or a connection with PRAGMA foreign_keys=OFF"
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
    def transaction(self, connection: Connection) -> Iterator[None]:
        """Stop before the commit if rows lost their parents; older broken rows do not count.

        Raises:
            CommandError: naming the tables.
        """
        if is_read_only() or is_up_to_date():
            yield
            return
        statement = "PRAGMA foreign_key_check"
        try:
            before = {tuple(row) for row in connection.exec_driver_sql(statement)}
        except (
            OperationalError
        ):  # an old mismatch: SQLite checks nothing before it is fixed
            yield
            return
        yield
        broken = {tuple(row) for row in connection.exec_driver_sql(statement)} - before
        if broken:
            tables = ", ".join(sorted({f"{row[0]} → {row[2]}" for row in broken}))
            raise CommandError(
                f"rolled back: {len(broken)} rows would point to missing rows ({tables}). "
                "Update or delete them in the revision, then run `alembic upgrade head`"
            )

    @contextmanager
    def hold(self, connection: Connection, timeout: float) -> Iterator[None]:
        """Begin each transaction as the one writer: lock and transactional DDL in one."""
        if connection.in_transaction():  # the caller's
            yield
            return
        waited = False

        def begin_immediate(connection: Connection) -> None:
            nonlocal waited
            if not is_autocommit(connection):
                connection.exec_driver_sql("PRAGMA busy_timeout=0")
                waited |= wait(
                    connection, lambda: try_begin(connection), timeout, quiet=waited
                )
                # A reader may delay the commit.
                connection.exec_driver_sql(f"PRAGMA busy_timeout={int(timeout * 1000)}")

        event.listen(connection, "begin", begin_immediate)
        try:
            yield
        finally:
            connection.rollback()
            event.remove(connection, "begin", begin_immediate)


def is_up_to_date() -> bool:
    """Return whether an upgrade would find nothing to do."""
    recorded = set(context.get_context().get_current_heads())
    # What a database records that has run everything: the heads that none depends on.
    newest = set(context.script.get_heads(consider_depends_on=True))
    return get_command() == "upgrade" and recorded == newest


def in_folder(url: URL, folder: str, name: str = "") -> URL:
    """Let a relative path begin at a folder; a name is that of another file in its place."""
    path = url.database or ":memory:"
    if path.startswith((":memory:", "file:")):
        return url
    file = Path(os.path.abspath(folder), path)
    return url.set(database=str(file.with_name(f"{name}.db") if name else file))


def try_begin(connection: Connection) -> bool:
    """Begin a transaction, and return whether no other connection writes."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    return True


database = SQLite()
