"""Connect through an async driver, even if an event loop runs already."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, pool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from .connect import connecting

T = TypeVar("T")


def run_on_async(
    engine: AsyncEngine, source: str, function: Callable[[Connection], T]
) -> T:
    """Call a function with a connection of an async engine; `source` says where its URL is."""

    async def run() -> T:
        return await greenlet_spawn(run_apart, engine.sync_engine, source, function)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    # In a test, or when an application starts, an event loop waits for us.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, run()).result()


def run_apart(engine: Engine, source: str, function: Callable[[Connection], T]) -> T:
    """Call a function with a connection of the running event loop, and with the engine's options."""
    # A pooled connection belongs to the loop that opened it, so we leave the caller's pool
    # alone; but a static pool is its one connection, for example to a database in memory.
    shared = isinstance(engine.pool, pool.StaticPool)
    apart = engine.pool if shared else engine.pool.recreate()
    try:
        with connecting(engine.url, source):
            refuse_missing_folder(engine.url)
            try:
                connection = Connection(engine, apart.connect())
            except engine.dialect.loaded_dbapi.Error as error:
                raise DBAPIError(None, None, error) from error
        with connection:
            return function(connection)
    finally:
        if not shared:
            apart.dispose()


def refuse_missing_folder(url: URL) -> None:
    """Raise what SQLite would say; the thread of aiosqlite prints a traceback as well."""
    folder = os.path.dirname(url.database or "")
    is_file = url.get_backend_name() == "sqlite" and "uri" not in url.query
    if is_file and folder and not os.path.isdir(folder):
        raise OSError("unable to open database file")
