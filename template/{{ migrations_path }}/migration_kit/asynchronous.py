"""Connect through an async driver, even if an event loop runs already."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import URL, Connection, pool
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .connect import connecting

T = TypeVar("T")


def run_on_async(
    engine: AsyncEngine, source: str, function: Callable[[Connection], T]
) -> T:
    """Call a function with a connection of an async engine; `source` says where its URL is."""

    async def run() -> T:
        async with connect_async(engine, source) as connection:
            return await connection.run_sync(function)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    # In a test, or when an application starts, an event loop waits for us.
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, run()).result()


@asynccontextmanager
async def connect_async(
    engine: AsyncEngine, source: str
) -> AsyncIterator[AsyncConnection]:
    """Open a connection of the running event loop."""
    # A pooled connection belongs to the loop that opened it, so we leave the caller's pool
    # alone; but a static pool is its one connection, for example to a database in memory.
    shared = isinstance(engine.pool, pool.StaticPool)
    if not shared:
        engine = create_async_engine(engine.url, pool=engine.pool.recreate())
    try:
        with connecting(engine.url, source):
            refuse_missing_folder(engine.url)
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        if not shared:
            await engine.dispose()


def refuse_missing_folder(url: URL) -> None:
    """Raise what SQLite would say; the thread of aiosqlite prints a traceback as well."""
    folder = os.path.dirname(url.database or "")
    is_file = url.get_backend_name() == "sqlite" and "uri" not in url.query
    if is_file and folder and not os.path.isdir(folder):
        raise OSError("unable to open database file")
