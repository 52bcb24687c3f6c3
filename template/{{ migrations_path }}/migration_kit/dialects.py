"""What a run needs of a kind of database: a lock, a session, transactions, words for errors."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection

from .rooms import part

# The kinds that the kit can have.
KNOWN = {"sqlite", "postgresql", "mysql", "mariadb"}

FILL_FIRST = "fill the rows first: add the column nullable, UPDATE, then NOT NULL"


class Database:
    """A kind of database; `database` in `sqlite.py`, `postgresql/` or `mysql/` is an instance.

    Attributes:
        aftermath: what is left of a revision that failed, in words.
        is_server: whether several jobs may need no lock, because only one of them migrates.
        remedies: what a driver says that cannot connect, as a pattern, and what fixes it;
            `{source}` says where the URL is.
        hints: what an error in a revision says, as a pattern, and what fixes it.
    """

    aftermath = ""
    is_server = True
    remedies: dict[str, str] = {}
    hints: dict[str, str] = {}

    def options(self) -> dict[str, Any]:
        """Return how Alembic is to use transactions."""
        return {"transaction_per_migration": True}

    def around(self, connection: Connection) -> AbstractContextManager[None]:
        """Return what all of the run is within, before it waits for the lock."""
        return nullcontext()

    def lock(
        self, connection: Connection, timeout: float
    ) -> AbstractContextManager[None]:
        """Hold the migration lock; it ends with the connection.

        Args:
            connection: the one that migrates.
            timeout: seconds to wait for the lock.
        """
        name = connection.dialect.name
        if name in KNOWN:
            raise CommandError(
                f"the kit of this project has no {name}. Run `copier update --data "
                f"database={name}`, or correct the URL"
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
        """Write what the SQL of `--sql` begins with."""

    def hint(self, error: Exception, message: str) -> str:
        """Return what fixes an error in a revision, or nothing."""
        found = (
            hint for known, hint in self.hints.items() if re.search(known, message)
        )
        return next(found, "")


def database_of(dialect: str) -> Database:
    """Return what the kit has for a dialect of SQLAlchemy; without a lock for one it lacks."""
    module = part("", dialect)
    database: Database = module.database if module else Database()
    return database


def no_lock(server: str) -> CommandError:
    """Return the error of a server that has no lock for migrations."""
    return CommandError(
        f"{server} has no lock that keeps other processes from migrating at the same time; "
        "let only one job migrate, and say so with -x lock=none"
    )
