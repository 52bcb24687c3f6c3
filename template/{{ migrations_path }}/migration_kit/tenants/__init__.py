"""What your `tenants.py` may import: the names of your tenants, from a table."""

from typing import Any

__all__ = ["first_column"]


def first_column(statement: str) -> list[Any]:
    """Return the first column of a query on the database of DATABASE_URL, else of alembic.ini.

    For `tenants()`, if a table has the names. Sync and async drivers both work.
    """
    # Each run looks into this folder, so it imports nothing else.
    from alembic import context
    from sqlalchemy import Connection, text

    from ..connect import create_connectable, run_on
    from ..settings import database_url, url_variable

    def read(connection: Connection) -> list[Any]:
        return list(connection.scalars(text(statement)))

    source = f"{url_variable(context.config.config_ini_section)}, else alembic.ini"
    return run_on(create_connectable(database_url()), source, read)
