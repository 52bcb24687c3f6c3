"""The application's engine and sessions: `with Session() as session: ...`."""

import os

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.orm import sessionmaker


def make_engine(url: str | URL) -> Engine:
    """Return an engine with the application's settings."""
    return create_engine(url, pool_pre_ping=True)


engine = make_engine(
    os.environ.get(
        "{{ db.variable }}",
        {{ db.url | to_json(ensure_ascii=false) }},
    ),
)
Session = sessionmaker(engine)
