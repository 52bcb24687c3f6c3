"""What a run needs of a kind of database: a lock, transactions, words for errors."""

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection

from .command import is_read_only
from .paths import update_command
from .rooms import part
from .settings import get_seconds, setting

log = logging.getLogger(f"alembic.{__name__}")

FILL_FIRST = "Add the column as nullable, fill it with UPDATE, then make it NOT NULL"
ONE_EACH = "Give each statement its own op.execute()"


class Database:
    """A kind of database; `database` in `sqlite.py`, `postgresql/` or `mysql/` is an instance.

    Attributes:
        aftermath: what is left of a revision that failed.
        needs_lock: whether the lock stays, even if the user says that only one job migrates.
        remedies: patterns of errors of a driver that cannot connect, each with its fix;
            `{source}` says where the URL is. The last pattern fits all.
        hints: patterns of errors in a revision, and of their SQL below, each with its fix.
    """

    aftermath = ""
    needs_lock = False
    remedies = {"": "Start the server, or correct host and port in {source}"}
    hints: dict[str, str] = {}

    def options(self) -> dict[str, Any]:
        """Return how Alembic is to use transactions."""
        return {"transaction_per_migration": True}

    def around(self, connection: Connection) -> AbstractContextManager[None]:
        """Return what all of the run is within, before it waits for the lock."""
        return nullcontext()

    def lock(self, connection: Connection) -> AbstractContextManager[None]:
        """Hold the migration lock; it ends with the connection, even by `kill -9`.

        Setting `lock_timeout`: seconds to wait for it, 300 by default. Setting `lock`: `none` where
        only one job migrates; SQLite's lock is its transaction, and stays.

        Args:
            connection: the one that migrates. In a transaction of the caller, PostgreSQL holds
                the lock until its end, and SQLite is left to the caller.

        Raises:
            CommandError: if another process holds it all the time, or if there is none to hold.
        """
        if is_read_only():
            return nullcontext()
        if (lock := setting("lock")) not in {"", "none"}:
            raise CommandError(
                f"lock is {lock!r}: it can only be none. Leave it out, or use `-x lock=none`"
            )
        if lock and not self.needs_lock:
            log.warning("lock = none: two processes could migrate at the same time")
            return nullcontext()
        return self.hold(connection, get_seconds("lock_timeout", 300))

    def hold(
        self, connection: Connection, timeout: float
    ) -> AbstractContextManager[None]:
        """Hold the lock of this kind of database; wait for it for some seconds."""
        name = connection.dialect.name
        if self.needs_lock:
            raise CommandError(
                f"the kit of this project has no {name}. "
                f"Run `{update_command(f'database={name}')}`, or correct the URL"
            )
        raise no_lock(f"SQLAlchemy's dialect {name}")

    def patience(
        self, connection: Connection
    ) -> AbstractContextManager[Iterator[AbstractContextManager[None]]]:
        """Give contexts to migrate in, one for each try."""
        return nullcontext(iter([nullcontext()]))

    def transaction(self, connection: Connection) -> AbstractContextManager[None]:
        """Return what is within the transaction of all revisions."""
        return nullcontext()

    def before_sql(self) -> None:
        """Write the beginning of the SQL of `--sql`."""

    def hint(self, error: Exception, message: str) -> str:
        """Return the fix for an error in a revision, or nothing."""
        found = (fix for known, fix in self.hints.items() if re.search(known, message))
        return next(found, "")


def database_of(dialect: str) -> Database:
    """Return the kind of a dialect of SQLAlchemy; it has no lock where the kit lacks it."""
    module = part("", dialect)
    database: Database = module.database if module else Database()
    if not module:  # without the kind's transactions, a lock is not all that lacks
        database.needs_lock = dialect in {"sqlite", "postgresql", "mysql", "mariadb"}
    return database


def no_lock(server: str) -> CommandError:
    """Return the error of a server that has no lock for migrations."""
    return CommandError(
        f"{server} has no migration lock, so two processes could migrate at the same time. "
        "Migrate from one job only, with `alembic -x lock=none upgrade head`"
    )
