"""Databases: where the servers are, and what tests look at in them."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    NullPool,
    create_engine,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import OperationalError

# The user must be allowed to create and drop databases.
SERVERS = {
    "postgresql": make_url(
        os.environ.get(
            "POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
        )
    ),
    "mariadb": make_url(
        os.environ.get("MARIADB_URL", "mariadb+pymysql://root@127.0.0.1:3306")
    ),
}

# Tables of Alembic and the kit.
OWN = {"alembic_version", "alembic_ready"}


def server_of(database: str) -> str:
    """Name the server that a database runs on here: MariaDB serves both of its dialects."""
    return {"mysql": "mariadb"}.get(database, database)


def connect(url: URL, **arguments: Any) -> Connection:
    """Open a connection that nothing pools; the arguments are the driver's."""
    return create_engine(url, poolclass=NullPool, connect_args=arguments).connect()


@cache
def missing(server: str) -> str:
    """Say in one line why a server cannot be used.

    Args:
        server: a key of `SERVERS`.

    Returns:
        An empty string where the server answers.
    """
    url = SERVERS[server]
    try:
        with connect(url, connect_timeout=5):
            return ""
    except OperationalError:
        return (
            f"{server} does not answer at {url.host}:{url.port}, its tests are skipped; "
            f"start it or set {server.upper()}_URL"
        )


def url_text(url: URL) -> str:
    """Write a URL as `DATABASE_URL` has it, with its password."""
    return url.render_as_string(hide_password=False)


def sync_url(url: URL) -> URL:
    """Return the URL with a driver that needs no event loop."""
    driver = {"sqlite": "pysqlite", "postgresql": "psycopg"}.get(
        url.get_backend_name(), "pymysql"
    )
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


def execute(url: URL, statement: str) -> None:
    """Run one statement outside any transaction."""
    with connect(url) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(statement))


def query(url: URL, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own.

    Args:
        url: the database; its driver may be async.
        statement: plain SQL.

    Returns:
        Its rows, or nothing where it returns none.
    """
    with connect(sync_url(url)) as connection:
        result = connection.execute(text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
        connection.commit()
    return rows


def tables(url: URL) -> set[str]:
    """Return the names of a database's tables, without those of Alembic and the kit."""
    with connect(sync_url(url)) as connection:
        return set(inspect(connection).get_table_names()) - OWN


def version(url: URL) -> list[str]:
    """Return the revisions that a database records."""
    return [row[0] for row in query(url, "SELECT version_num FROM alembic_version")]


def databases_beside(url: URL) -> list[str]:
    """Return the databases of a server whose names begin with that of another one."""
    server = server_of(url.get_backend_name())
    if server == "sqlite":
        return []
    catalog = {
        "postgresql": "SELECT datname FROM pg_database",
        "mariadb": "SELECT schema_name FROM information_schema.schemata",
    }
    names = [name for (name,) in query(SERVERS[server], catalog[server])]
    return [name for name in names if name.startswith(f"{url.database}_")]
