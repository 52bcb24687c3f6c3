"""The application's engine and sessions: `async with Session() as session: ...`."""

import os

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine


def make_engine(url: str | URL) -> AsyncEngine:
    """Return an engine with the application's settings."""
    return create_async_engine(url, pool_pre_ping=True)


engine = make_engine(
    os.environ.get(
        "{{ db.variable }}",
        {{ db.url | to_json(ensure_ascii=false) }},
    ),
)
# A lazy load after commit would have to wait for the database where nothing can be awaited.
Session = async_sessionmaker(engine, expire_on_commit=False)
