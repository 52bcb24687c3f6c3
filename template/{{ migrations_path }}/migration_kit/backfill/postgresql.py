"""PostgreSQL: an advisory lock for a backfill, short waits for rows, and replicas to wait for."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ..postgresql.pooler import refuse_pooler
from .kinds import Kind
from .servers import LOCK_TIMEOUT, digest, lock

# The rows of all partitions together, which the server knows without counting.
ESTIMATE = """
SELECT sum(reltuples) FROM pg_class c JOIN pg_partition_tree(to_regclass(:name)) t
ON t.relid = c.oid AND t.isleaf
"""

# The server shows it to a user with the privileges of pg_monitor.
LAG = "SELECT coalesce(extract(epoch FROM max(replay_lag)), 0) FROM pg_stat_replication"

SHORT_WAITS = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"

# A lock timeout, a deadlock, a failed serialization.
BUSY = {"55P03", "40P01", "40001"}


class PostgreSQL(Kind):
    """PostgreSQL."""

    @contextmanager
    def session(self, connection: sa.Connection, name: str) -> Iterator[None]:
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()")) or 0
        connection.commit()
        refuse_pooler(connection, pid)
        key = int.from_bytes(digest(name), signed=True)
        take = f"SELECT pg_try_advisory_lock({key})"
        release = f"SELECT pg_advisory_unlock({key})"
        with lock(connection, name, take, release):
            yield

    def estimate(self, connection: sa.Connection, table: sa.TableClause) -> int:
        name = connection.dialect.identifier_preparer.format_table(table)
        return int(max(connection.scalar(sa.text(ESTIMATE), {"name": name}) or 0, 0))

    def begin(self, connection: sa.Connection) -> None:
        connection.execute(sa.text(SHORT_WAITS))

    def is_busy(self, error: DBAPIError) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        return (state or getattr(error.orig, "pgcode", None)) in BUSY

    def lag(self, connection: sa.Connection) -> float:
        lag = float(connection.scalar(sa.text(LAG)) or 0)
        connection.rollback()
        return lag


kind = PostgreSQL()
