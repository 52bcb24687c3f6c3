"""Tenants on PostgreSQL: a schema each in one database, or a database each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, column, literal, select, table, text, union_all
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from ..command import is_read_only
from .commands import Outcome, failure
from .tenant import remedy

# The database that a connection names that is to create another one.
SERVER = "postgres"

EXISTS = "SELECT 1 FROM pg_database WHERE datname = :name"

# A row only where the schema exists.
SET_PATH = """
SELECT current_setting('search_path'), set_config('search_path', quote_ident(nspname), :is_local)
FROM pg_namespace WHERE nspname = :schema
"""

RESET_PATH = "SELECT set_config('search_path', :path, :is_local)"

# The schemas there are, and whether each has the version table.
SCHEMAS = """
SELECT nspname, EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = :table)
FROM pg_namespace n
"""

AT_ONCE = 200  # schemas that one statement reads


@contextmanager
def search_path(connection: Connection, schema: str) -> Iterator[None]:
    """Let every name without a schema mean one in this schema, and in no other.

    In a transaction of the caller, and where nothing is written, this ends with the transaction:
    a pooler in transaction mode would hand the session to another client.

    Raises:
        CommandError: if there is no such schema, or the tenants would share one version table.
    """
    if context.get_context().version_table_schema != schema:
        raise CommandError(
            "the schema of each tenant has its version table. "
            "Remove `version_table_schema=` from run() in env.py"
        )
    callers_transaction = connection.in_transaction()
    is_local = callers_transaction or is_read_only()
    values = {"schema": schema, "is_local": is_local}
    before = connection.scalar(text(SET_PATH), values)
    if before is None:
        if not context.config.attributes.get("creates"):
            raise CommandError(f"there is no schema {schema}. {remedy(schema)}")
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


def read_schemas(
    connection: Connection, version_table: str, names: Sequence[str]
) -> dict[str, Outcome]:
    """Return what each tenant with a schema records; a few statements read all of them."""
    rows = connection.execute(text(SCHEMAS), {"table": version_table}).all()
    schemas = {row[0]: bool(row[1]) for row in rows}
    found = {
        name: Outcome()
        if name in schemas
        else Outcome(error=f"there is no schema {name}. {remedy(name)}")
        for name in names
    }
    recording = [name for name in names if schemas.get(name)]
    for start in range(0, len(recording), AT_ONCE):
        part = recording[start : start + AT_ONCE]
        found |= read_version_tables(connection, version_table, part)
    connection.rollback()
    return found


def read_version_tables(
    connection: Connection, name: str, schemas: list[str]
) -> dict[str, Outcome]:
    queries: list[Any] = [
        select(literal(schema).label("tenant"), column("version_num")).select_from(
            table(name, schema=schema)
        )
        for schema in schemas
    ]
    try:
        rows = connection.execute(union_all(*queries)).all()
    except DBAPIError as error:  # one is gone, say, or not ours to read
        connection.rollback()
        if len(schemas) == 1:
            return {schemas[0]: failure(error)}
        found: dict[str, Outcome] = {}
        for schema in schemas:
            found |= read_version_tables(connection, name, [schema])
        return found
    heads: dict[str, set[str]] = {schema: set() for schema in schemas}
    for row in rows:
        heads[row.tenant].add(row.version_num)
    return {schema: Outcome(heads=frozenset(heads[schema])) for schema in schemas}
