"""What PostgreSQL, MySQL and MariaDB have in common: patience with tables that others use."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from .command import is_read_only
from .dialects import Database, no_lock
from .lock import pause
from .settings import get_seconds

log = logging.getLogger(f"alembic.{__name__}")

RETRIES = 3
NO_LOCK, DEADLOCK = "55P03", "40P01"  # of PostgreSQL

LOST = "the migration lock was lost while the migration ran. Run `alembic current`"


class Server(Database):
    """A kind of server.

    Attributes:
        users: queries for who uses a table of `:statement`: table, process, name and state. The
            first one that finds anything counts.
        unseen: how to find that out, if no query may.
    """

    users: Sequence[str] = ()
    unseen = ""
    remedies = {
        "too many c|connection slots|has exceeded": "End other sessions, or raise the limit",
        "starting up|shutting down|recovery mode|not yet": "Wait until the server is ready",
        "denied .*database ['\"]|not currently accepting|not allowed to|pg_hba.conf": "Allow "
        "this user, host and database on the server, or correct {source}",
        "database .*does not exist|unknown database": "Create the database, or correct "
        "{source}",
        "(no|empty) password|authentication|access denied": "Check user and password in {source}",
        "ssl (was|upgrade|neg|conn|err)|certificate": "Correct host, port or TLS in {source}",
    } | Database.remedies

    def session(
        self, connection: Connection, timeout: float
    ) -> AbstractContextManager[Callable[[], bool]]:
        """Limit how long a statement waits; give whether the last revision left nothing."""
        raise NotImplementedError

    @contextmanager
    def patience(
        self, connection: Connection
    ) -> Iterator[Iterator[AbstractContextManager[None]]]:
        """Give contexts to migrate in, one for each try, until one succeeds.

        A DDL statement that waits for a busy table blocks everything that comes after it, so it
        gives up soon. PostgreSQL rolls its revision back, and the next try begins with it again.
        MySQL and MariaDB cannot roll back, so there the first try is the last.

        Setting `ddl_lock_timeout`: seconds that a statement waits for a table, 5 by default.

        Raises:
            CommandError: after the last try; it names the statement and who uses the table.
        """
        if is_read_only():
            yield iter([nullcontext()])
            return
        timeout = get_seconds("ddl_lock_timeout", 5)
        with self.session(connection, timeout) as is_rolled_back:
            yield self.attempts(connection, timeout, is_rolled_back)

    def attempts(
        self, connection: Connection, timeout: float, is_rolled_back: Callable[[], bool]
    ) -> Iterator[AbstractContextManager[None]]:
        """Yield a context for each try; whatever timed out in it is tried again."""
        for retry in range(RETRIES + 1):
            busy: list[DBAPIError] = []
            yield self.catch_lock_timeout(busy)
            if not busy:
                return
            if rolled_back := is_rolled_back():
                connection.rollback()
            if retry == RETRIES or not rolled_back:
                message = self.explain(connection, busy[0], timeout)
                raise CommandError(message) from busy[0]
            seconds = timeout * 2**retry
            log.info("A table is busy: trying again in %g s", seconds)
            pause(connection, seconds)

    @contextmanager
    def catch_lock_timeout(self, busy: list[DBAPIError]) -> Iterator[None]:
        """Add an error to a list instead, if a statement gave up waiting."""
        try:
            yield
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            codes = {state, *getattr(error.orig, "args", ())}
            if not codes & {NO_LOCK, DEADLOCK, 1205}:
                raise
            busy.append(error)

    def explain(self, connection: Connection, error: DBAPIError, timeout: float) -> str:
        """Return which statement waited, and who uses the table."""
        statement = " ".join((error.statement or "").split())
        met = getattr(error.orig, "sqlstate", None) == DEADLOCK
        ended = "met a deadlock" if met else f"timed out after {timeout:g} s"
        return (
            f"{statement[:100]!r} {ended}: another session uses its table "
            f"({self.users_of_table(connection, statement)}). "
            "End that session, or run again with `-x ddl_lock_timeout=SECONDS`"
        )

    def users_of_table(self, connection: Connection, statement: str) -> str:
        """Name the sessions that use a table of the statement, as far as our user may see them."""
        callers_transaction = connection.in_transaction()
        for query in self.users:
            rows: Sequence[Row[Any]] = ()
            with suppress(DBAPIError):  # of a privilege, of a transaction that failed
                rows = connection.execute(text(query), {"statement": statement}).all()
            if not callers_transaction:
                connection.rollback()
            if rows:
                return "; ".join("{}: process {}, {}, {}".format(*row) for row in rows)
        return self.unseen


def refuse_without_lock(
    version: str, servers: Sequence[tuple[str, str, tuple[int, ...] | None]]
) -> None:
    """Refuse a server whose locks do not hold, although it may say that they do.

    Args:
        version: what its version() says.
        servers: names, patterns of versions, and the first releases whose locks hold, if any.
    """
    for server, pattern, since in servers:
        found = re.search(pattern, version)
        if found and (since is None or tuple(map(int, found.groups())) < since):
            raise no_lock(server)
