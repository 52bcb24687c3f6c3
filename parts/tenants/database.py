"""Who the tenants are, and where the database of each is. This file is yours."""

from collections.abc import Iterable

from migration_kit.settings import database_url
from sqlalchemy import URL


def tenants() -> Iterable[str]:
    """Return the names of all tenants, from where your application keeps them.

    `first_column("SELECT ...")` of `migration_kit.tenants` reads a table of DATABASE_URL.
    """
    raise NotImplementedError(
        "only you know where the names of your tenants are; "
        "let tenants() in tenants.py return them"
    )


def tenant_url(name: str) -> URL:
    """Return the URL of a tenant's database: beside that of DATABASE_URL, under its own name."""
    return database_url(name)
