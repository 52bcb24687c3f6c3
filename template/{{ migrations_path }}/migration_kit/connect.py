"""Connect to the database, and never show a secret."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, pool
from sqlalchemy.exc import SQLAlchemyError

from .dialects import database_of
from .paths import update_command
from .rooms import part

if TYPE_CHECKING:  # importing it takes greenlet, which a sync project need not install
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

SECRET = re.compile("passw|secret|token", re.IGNORECASE)


def create_connectable(url: URL) -> "Engine | AsyncEngine":
    """Return an engine that keeps no connection open.

    Raises:
        CommandError: if the driver is not installed.
    """
    # Alembic prints the engine's URL (`current -v`): what it would not hide goes around it.
    secrets = {name: value for name, value in url.query.items() if SECRET.search(name)}
    url = url.difference_update_query(secrets)
    try:
        if not url.get_dialect().is_async:
            return create_engine(url, poolclass=pool.NullPool, connect_args=secrets)
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(url, poolclass=pool.NullPool, connect_args=secrets)
    except ImportError as error:
        module = error.name or url.get_driver_name()
        package = {"psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient"}.get(module)
        raise CommandError(
            f"{module} is not installed, but the URL starts with {url.drivername}://. "
            f"Run `uv add {package or module}`, or change the driver in the URL"
        ) from error


@contextmanager
def connecting(url: URL, source: str) -> Iterator[None]:
    """Say in one line why the database cannot be reached, and how to fix it.

    Args:
        url: of the database.
        source: where the URL comes from, in words.

    Raises:
        CommandError: in place of every error of the driver.
    """
    try:
        yield
    except (SQLAlchemyError, OSError, AssertionError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        public = {url.username, url.host, url.database}
        if url.password and url.password not in public:
            reason = reason.replace(str(url.password), "***")
        remedies = database_of(url.get_backend_name()).remedies
        known = next(known for known in remedies if re.search(known, reason.lower()))
        remedy = remedies[known].format(source=source)
        raise CommandError(f"cannot connect to {url}: {reason}. {remedy}") from error


def run_on(
    engine: "Engine | AsyncEngine", source: str, function: Callable[[Connection], T]
) -> T:
    """Call a function with a connection; `source` says in an error where the engine's URL is.

    Raises:
        CommandError: if the database cannot be reached.
    """
    if isinstance(engine, Engine):
        with connecting(engine.url, source):
            connection = engine.connect()
        with connection:
            return function(connection)
    if not (asynchronous := part("", "asynchronous")):
        raise CommandError(
            f"the kit of this project has no async drivers, but {source} names "
            f"{engine.url.drivername}. Run `{update_command('async_engine=true')}`"
        )
    return cast(T, asynchronous.run_on_async(engine, source, function))
