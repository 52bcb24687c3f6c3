"""The names of your tenants; each has a schema of that name. This file is yours."""

from collections.abc import Iterable


def tenants() -> Iterable[str]:
    """Return the names of all tenants, from the place where your application keeps them.

    `first_column("SELECT ...")` of `migration_kit.tenants` reads a table of DATABASE_URL.
    """
    raise NotImplementedError("return the names of your tenants")
