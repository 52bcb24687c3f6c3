"""Autogenerate on PostgreSQL: ENUM types, schemas, and defaults that read otherwise."""

from importlib.util import find_spec

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from ..kinds import Kind
from ..servers import put_foreign_keys_in_order

if find_spec("alembic_postgresql_enum"):
    from . import enums as enums


class PostgreSQL(Kind):
    """PostgreSQL has tables that belong to an extension, or to another table."""

    parts = """
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname = coalesce(:schema, current_schema())
AND (EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
OR EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e'))
"""

    # The casts of a literal: a change of the type leaves others than a new column has.
    noise = r"""^\(*'|'(::[\w ."]+(\([\d,]+\))?(\[\])?\)*)+$"""

    def complete(self, migration: MigrationContext, container: ops.OpContainer) -> None:
        """Create the schemas that are missing; they stay, as others may use them as well."""
        put_foreign_keys_in_order(container)
        creates = [op for op in container.ops if isinstance(op, ops.CreateTableOp)]
        there = inspect(migration.connection).get_schema_names() if creates else ()
        missing = {op.schema for op in creates if op.schema} - {*there}
        quote = migration.dialect.identifier_preparer.quote
        container.ops[:0] = [
            ops.ExecuteSQLOp(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
            for schema in sorted(missing)
        ]


kind = PostgreSQL()
