"""The tenant of a run, as `tenants.py` beside env.py tells of it: its database, or its schema."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from ..command import is_read_only
from ..connect import on_connection
from ..errors import one_line
from ..paths import invocation
from ..settings import database_url, url_variable

SCHEMA_LENGTH = 63  # bytes; PostgreSQL cuts what is longer, without an error

# A row only where the schema exists.
SET_PATH = """
SELECT current_setting('search_path'), set_config('search_path', quote_ident(nspname), :is_local)
FROM pg_namespace WHERE nspname = :schema
"""

RESET_PATH = "SELECT set_config('search_path', :path, :is_local)"


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
        raise CommandError(f"{path} is missing; it tells which tenants there are")
    module = module_from_spec(spec)
    with one_line("tenants.py cannot be imported"):
        spec.loader.exec_module(module)
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
    """Return the URL of the run's tenant and where it is written, if it has one."""
    # That of a server, on which a tenant's database is yet to be created.
    server: URL | None = context.config.attributes.get("url")
    if server:
        return server, "tenant_url() of tenants.py"
    tenant = get_tenant()
    url = url_of(tenant) if tenant else None
    return (url, "tenant_url() of tenants.py") if url else None


def schema_of_run() -> str | None:
    """Return the schema of the run's tenant, where each tenant has one."""
    tenant = get_tenant()
    return schema_of(tenant) if tenant else None


def has_databases() -> bool:
    """Tell whether each tenant has a database, and not a schema."""
    return hasattr(load(context.script.dir), "tenant_url")


def names() -> list[str]:
    """Return the names of all tenants.

    Raises:
        CommandError: if `tenants()` cannot tell, or if a name cannot be one or is there twice.
    """
    module = load(context.script.dir)
    with one_line("tenants() of tenants.py cannot tell the names"):
        found = [checked_name(name) for name in module.tenants()]
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise CommandError(
            f"tenants() of tenants.py names {', '.join(twice)} more than once; "
            "give each tenant a name of its own"
        )
    return found


def checked_name(name: Any) -> str:
    """Return the name of a tenant.

    Raises:
        CommandError: if none can have that name.
    """
    if not isinstance(name, str) or not name.strip():
        raise CommandError(
            f"{name!r} is no tenant's name; give a text, not an empty one"
        )
    if not has_databases() and len(name.encode()) > SCHEMA_LENGTH:
        raise CommandError(
            f"{name!r} is too long for a schema: take at most {SCHEMA_LENGTH} bytes"
        )
    return name


def first_column(statement: str) -> list[Any]:
    """Return the first column of a query on the database of DATABASE_URL, else of alembic.ini.

    For `tenants()`, where a table has the names; it takes sync and async drivers.
    """

    def read(connection: Connection) -> list[Any]:
        return list(connection.scalars(text(statement)))

    variable = url_variable(context.config.config_ini_section)
    return on_connection(database_url(), read, variable)


def url_of(name: str) -> URL | None:
    """Return the URL of a tenant's own database; nothing where each tenant has a schema.

    Raises:
        CommandError: if `tenant_url()` fails, or names a SQLite file that is not there, which
            SQLite would make.
    """
    if not has_databases():
        return None
    with one_line("tenant_url() of tenants.py failed"):
        url: URL = load(context.script.dir).tenant_url(name)
    if not context.config.attributes.get("creates"):
        file = Path(url.database or "")
        if url.get_backend_name() == "sqlite" and not file.exists():
            raise CommandError(f"{name} has no database {file}; {remedy(name)}")
    return url


def schema_of(name: str) -> str | None:
    """Return the schema of a tenant; nothing where each tenant has a database."""
    return None if has_databases() else name


def remedy(name: str) -> str:
    """Return what makes a tenant."""
    return f"`{invocation()} tenants create {name}` makes it"


@contextmanager
def search_path(connection: Connection, schema: str) -> Iterator[None]:
    """Let every name without a schema mean one in this schema, and in no other.

    In a transaction of the caller, and where nothing is written, this ends with the transaction:
    a pooler in transaction mode would hand the session to somebody else.

    Raises:
        CommandError: if there is no such schema, or the tenants would share one version table.
    """
    if connection.dialect.name != "postgresql":
        raise CommandError(
            f"{connection.dialect.name} has no schemas for tenants; define tenant_url() in "
            "tenants.py, and each has a database"
        )
    if context.get_context().version_table_schema != schema:
        raise CommandError(
            "take `version_table_schema=` out of run() in env.py: the schema of each tenant "
            "has a version table"
        )
    callers_transaction = connection.in_transaction()
    is_local = callers_transaction or is_read_only()
    values = {"schema": schema, "is_local": is_local}
    before = connection.scalar(text(SET_PATH), values)
    if before is None:
        if not context.config.attributes.get("creates"):
            raise CommandError(f"there is no schema {schema}; {remedy(schema)}")
        connection.execute(CreateSchema(schema))
        before = connection.scalar(text(SET_PATH), values)
    default = connection.dialect.default_schema_name
    if not is_local:
        connection.commit()  # what is set in a transaction is gone when that is rolled back
    connection.dialect.default_schema_name = schema
    try:
        yield
    finally:
        if context.config.attributes.get("connection"):
            # On an engine of our own it stays: a revision is written after this.
            connection.dialect.default_schema_name = default
        with suppress(SQLAlchemyError):  # with the connection, the setting is gone
            if not callers_transaction:
                connection.rollback()
            values = {"path": before, "is_local": is_local}
            connection.execute(text(RESET_PATH), values)
            if not callers_transaction:
                connection.commit()
