"""PostgreSQL's advisory lock, which outlives the commits of the revisions."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from alembic.util import CommandError
from sqlalchemy import Connection, text

from ..lock import wait
from ..servers import LOST, refuse_without_lock
from ..settings import run_schema
from .pooler import refuse_pooler

# One per database, and per tenant; any number is enough that every process knows.
KEY = int.from_bytes(b"alembic")

WITHOUT_LOCK = [
    ("CockroachDB", r"CockroachDB", None),
    ("YugabyteDB before 2025.1", r"-YB-(\d{4})\.(\d+)", (2025, 1)),
    ("YugabyteDB before 2025.1", r"-YB-(\d)\.(\d+)", (2, 27)),
]


@contextmanager
def postgresql_lock(
    self: object, connection: Connection, timeout: float
) -> Iterator[None]:
    """Hold an advisory lock of the session.

    In a transaction of the caller the lock is that transaction's, and ends with it.
    """
    callers_transaction = connection.in_transaction()
    query = "SELECT pg_is_in_recovery() AS standby, pg_backend_pid() AS pid, version()"
    server = connection.execute(text(query)).one()
    if server.standby:
        raise CommandError("this server is a hot standby. Use the primary's URL")
    refuse_without_lock(server.version, WITHOUT_LOCK)
    key = KEY
    if schema := run_schema():  # tenants with a schema each do not wait for each other
        digest = blake2b(schema.encode(), digest_size=8).digest()
        key = int.from_bytes(digest, signed=True)

    def call(function: str) -> bool:
        value = bool(connection.scalar(text(f"SELECT {function}(:key)"), {"key": key}))
        if not callers_transaction:
            connection.commit()
        return value

    # It has one session until its end, even through a pooler.
    if callers_transaction:
        wait(connection, lambda: call("pg_try_advisory_xact_lock"), timeout)
        yield
        return
    connection.commit()
    refuse_pooler(connection, server.pid)
    wait(connection, lambda: call("pg_try_advisory_lock"), timeout)
    try:
        yield
    finally:
        connection.rollback()
        released = not connection.invalidated and call("pg_advisory_unlock")
    if not released:
        raise CommandError(LOST)
