"""Who the tenants are; each has a schema of that name. This file is yours."""

from collections.abc import Iterable


def tenants() -> Iterable[str]:
    """Return the names of all tenants, from where your application keeps them.

    `first_column("SELECT ...")` of `migration_kit.tenants` reads a table of DATABASE_URL.
    """
    raise NotImplementedError(
        "only you know where the names of your tenants are; "
        "let tenants() in tenants.py return them"
    )
