"""The application's engine and sessions: `with Session() as session: ...`."""

import os
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

ROOT = Path(__file__).parents[{{ db.root }}]


def make_engine(url: str | URL) -> Engine:
    """Return an engine with the application's settings; a relative path begins at ROOT."""
    url = make_url(url)
    if url.database and not url.database.startswith((":memory:", "file:")):
        url = url.set(database=str(ROOT / url.database))
    # The driver begins no transaction before a SAVEPOINT or a SELECT; `begin` does it.
    engine = create_engine(url, connect_args={"isolation_level": None})
    event.listen(engine, "connect", enforce_foreign_keys)
    event.listen(engine, "begin", begin)
    return engine


def enforce_foreign_keys(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """SQLite ignores foreign keys unless each connection asks for them."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


engine = make_engine(
    os.environ.get(
        "{{ db.variable }}",
        {{ db.url | to_json(ensure_ascii=false) }},
    ),
)
Session = sessionmaker(engine)
