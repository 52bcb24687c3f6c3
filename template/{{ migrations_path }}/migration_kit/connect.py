"""Connect to the database through a sync or an async driver, and never show a secret."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, pool
from sqlalchemy.exc import SQLAlchemyError

from .dialects import database_of

if TYPE_CHECKING:  # importing it takes greenlet, which a sync project need not install
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

SECRET = re.compile("passw|secret|token", re.IGNORECASE)

# What is left to say where no remedy of the kind of database fits.
START = "start the server, or correct host and port in {source}"


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
        raise CommandError(
            f"{error.name or error} is not installed, but {url.drivername}:// needs it; "
            "add it to the project, or name another driver in the URL"
        ) from error


@contextmanager
def connecting(url: URL, source: str) -> Iterator[None]:
    """Say in one line why the database cannot be reached, and what helps.

    Args:
        url: of the database.
        source: where the URL comes from, in words.

    Raises:
        CommandError: in place of every error of the driver.
    """
    folder = os.path.dirname(url.database or "")
    plain_path = (
        url.get_backend_name() == "sqlite" and folder and "uri" not in url.query
    )
    # aiosqlite's thread would print a traceback.
    if plain_path and not os.path.isdir(folder):
        raise CommandError(f"cannot connect to {url}: make the folder {folder}")
    try:
        yield
    except (SQLAlchemyError, OSError, AssertionError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        reason = hide_password(reason, url)
        remedies = database_of(url.get_backend_name()).remedies | {"": START}
        remedy = next(
            remedy
            for known, remedy in remedies.items()
            if re.search(known, reason.lower())
        ).format(source=source)
        raise CommandError(f"cannot connect to {url}: {reason}; {remedy}") from error


def hide_password(text: str, url: URL) -> str:
    """Replace the password of a URL, but not where it is the user's name, say: that is public."""
    public = {url.username, url.host, url.database}
    if not url.password or url.password in public:
        return text
    return text.replace(str(url.password), "***")


@contextmanager
def connect(engine: Engine, source: str) -> Iterator[Connection]:
    """Open a connection; `source` says in an error where the engine's URL comes from."""
    with connecting(engine.url, source):
        connection = engine.connect()
    with connection:
        yield connection


@asynccontextmanager
async def connect_async(
    engine: "AsyncEngine", source: str
) -> AsyncIterator["AsyncConnection"]:
    """Open a connection of the running event loop, otherwise like `connect`."""
    from sqlalchemy.ext.asyncio import create_async_engine

    # A pooled connection belongs to the loop that opened it, so we leave the caller's pool
    # alone; but a static pool is its one connection, for example to a database in memory.
    shared = isinstance(engine.pool, pool.StaticPool)
    if not shared:
        engine = create_async_engine(engine.url, pool=engine.pool.recreate())
    try:
        with connecting(engine.url, source):
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        if not shared:
            await engine.dispose()


def run_coroutine(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where an event loop waits for us: in a test, say."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
    else:
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, coroutine).result()


def on_connection(
    url: URL, function: Callable[[Connection], T], variable: str = "TEST_DATABASE_URL"
) -> T:
    """Call a function with a connection of its own, through a sync or an async driver."""
    source = f"{variable}, else alembic.ini"
    engine = create_connectable(url)
    if isinstance(engine, Engine):
        with connect(engine, source) as connection:
            return function(connection)

    results: list[T] = []

    async def run() -> None:
        async with connect_async(engine, source) as connection:
            results.append(await connection.run_sync(function))

    run_coroutine(run())
    return results[0]
