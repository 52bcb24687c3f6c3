"""The tenant of a run, as `tenants.py` next to env.py defines it: its database, or its schema."""

from collections import Counter
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL

from ..errors import one_line
from ..paths import invocation
from ..rooms import part

# Where `first_column` was before 3.0.
OLD = "migration_kit.tenant"

SCHEMA_LENGTH = 63  # bytes; PostgreSQL cuts what is longer, without an error


@lru_cache(maxsize=1)
def load(folder: str) -> ModuleType:
    """Return the `tenants.py` of a history.

    Args:
        folder: that of the history's env.py.

    Raises:
        CommandError: if it is missing, or cannot be imported.
    """
    path = Path(folder, "tenants.py")
    spec = spec_from_file_location("tenants", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise CommandError(f"no file {path}. Write it, with a function tenants()")
    module = module_from_spec(spec)
    with one_line("tenants.py cannot be imported"):
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            if error.name != OLD:
                raise
            raise CommandError(
                f"tenants.py imports {OLD}, which has moved. Use `from migration_kit.tenants "
                "import first_column`"
            ) from error
    return module


def get_tenant() -> str | None:
    """Return the tenant of the run: that of a program's attributes, or of `-x tenant=NAME`.

    Raises:
        CommandError: if none can have that name.
    """
    given = context.get_x_argument(as_dictionary=True).get("tenant")
    tenant = context.config.attributes.get("tenant", given)
    return None if tenant is None else str(checked_name(tenant))


def url_of_run() -> tuple[URL, str] | None:
    """Return the URL of the run's tenant and where it is written, if it has one.

    Raises:
        CommandError: if `tenant_url()` fails, or names a SQLite file that is not there, which
            SQLite would create.
    """
    source = "tenant_url() of tenants.py"
    # That of a server, on which a tenant's database is yet to be created.
    server: URL | None = context.config.attributes.get("url")
    if server:
        return server, source
    tenant = get_tenant()
    if tenant is None or not has_databases():
        return None
    with one_line(f"{source} failed"):
        url: URL = load(context.script.dir).tenant_url(tenant)
    if not context.config.attributes.get("creates"):
        file = Path(url.database or "")
        if url.get_backend_name() == "sqlite" and not file.exists():
            raise CommandError(f"{tenant} has no database {file}. {remedy(tenant)}")
    return url, source


def schema_of_run() -> str | None:
    """Return the schema of the run's tenant, if each tenant has one."""
    tenant = get_tenant()
    return None if tenant is None or has_databases() else tenant


def kind_with_schemas(dialect: str) -> Any:
    """Return the module for a kind of database in which each tenant has a schema.

    Raises:
        CommandError: if the kind has no schemas for tenants.
    """
    kind = part("tenants", dialect)
    if not hasattr(kind, "search_path"):
        raise CommandError(
            f"{dialect} has no schemas for tenants. Define tenant_url() in tenants.py, so that "
            "each has a database"
        )
    return kind


def has_databases() -> bool:
    """Return whether each tenant has a database instead of a schema."""
    return hasattr(load(context.script.dir), "tenant_url")


def names() -> list[str]:
    """Return the names of all tenants.

    Raises:
        CommandError: if `tenants()` fails, or if a name cannot be one or is there twice.
    """
    module = load(context.script.dir)
    with one_line("tenants() of tenants.py failed"):
        found = [checked_name(name) for name in module.tenants()]
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise CommandError(
            f"tenants() of tenants.py names {', '.join(twice)} more than once. "
            "Give each tenant another name"
        )
    return found


def checked_name(name: Any) -> str:
    """Return the name of a tenant.

    Raises:
        CommandError: if none can have that name.
    """
    if not isinstance(name, str) or not name.strip():
        raise CommandError(
            f"{name!r} is no tenant's name: it must be text, not empty. Correct it"
        )
    if not has_databases() and len(name.encode()) > SCHEMA_LENGTH:
        raise CommandError(
            f"{name!r} is too long for a schema. Use at most {SCHEMA_LENGTH} bytes"
        )
    return name


def remedy(name: str) -> str:
    """Return the command that creates a tenant."""
    return f"Run `{invocation()} tenants create {name}`"
