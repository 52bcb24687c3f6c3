"""The names of your tenants, and the URLs of their databases. This file is yours."""

from collections.abc import Iterable

from migration_kit.settings import database_url
from sqlalchemy import URL


def tenants() -> Iterable[str]:
    """Return the names of all tenants, from the place where your application keeps them.

    `first_column("SELECT ...")` of `migration_kit.tenants` reads a table of DATABASE_URL.
    """
    raise NotImplementedError("return the names of your tenants")


def tenant_url(name: str) -> URL:
    """Return the URL of a tenant's database: by its name, next to that of DATABASE_URL."""
    return database_url(name)
