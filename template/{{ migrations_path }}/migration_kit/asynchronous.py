"""Connect through an async driver, even if an event loop runs already."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import Connection, pool
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
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        if not shared:
            await engine.dispose()
