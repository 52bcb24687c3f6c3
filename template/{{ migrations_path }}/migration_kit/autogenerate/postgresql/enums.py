"""How a revision changes PostgreSQL's ENUM types: in plain SQL, which every tool knows.

alembic-postgresql-enum finds the changes. What it would write, `op.sync_enum_values()`, neither a
type checker nor a linter of SQL can read.
"""

import logging
from collections.abc import Iterable, Iterator

from alembic import context
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import DispatchPriority
from alembic_postgresql_enum import ColumnType, Config, set_configuration
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from alembic_postgresql_enum.sql_commands.indexes import get_dependent_indexes
from sqlalchemy import table

from ...tables import tables_of
from ..ownership import is_named_by_revision
from ..render import execute

# It says so of each other database that the process compares.
logging.getLogger("alembic.alembic_postgresql_enum.compare_dispatch").addFilter(
    lambda record: "only supports postgresql" not in record.getMessage()
)


def is_ours(name: str) -> bool:
    """Return whether an ENUM type is in the models or in a revision."""
    tables = tables_of(context.get_context().opts["target_metadata"]).values()
    types = (column.type for table in tables for column in table.columns)
    models = {getattr(getattr(kind, "item_type", kind), "name", None) for kind in types}
    return name in models or is_named_by_revision(context.script, name)


set_configuration(Config(include_name=is_ours))


@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def find_indexes(
    context: AutogenContext, upgrade: ops.UpgradeOps, _: Iterable[str | None]
) -> None:
    """Remember which indexes a downgrade must make again: rendering has no connection."""
    for op in upgrade.ops:
        if isinstance(op, AddEnumValuesOp) and context.connection:
            indexes = get_dependent_indexes(context.connection, op.schema, op.name)
            op.indexes_to_recreate = indexes


@renderers.dispatch_for(AddEnumValuesOp, replace=True)
def render_added_values(context: AutogenContext, op: AddEnumValuesOp) -> list[str]:
    """Write a statement for each new value; it may run twice, as nothing takes a value back."""
    name = quote(context, op.schema, op.name)
    place = f" BEFORE {literal(op.old_values[0])}" if op.old_values else ""
    lines = []
    for value in op.new_values:
        if value not in op.old_values:
            added = f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {literal(value)}{place}"
            lines.append(execute(added))
        place = f" AFTER {literal(value)}"
    return lines


@renderers.dispatch_for(SyncEnumValuesOp, replace=True)
def render_changed_values(context: AutogenContext, op: SyncEnumValuesOp) -> list[str]:
    """Write how another type takes the place of one that lost a value, or has another order."""
    return [execute(statement) for statement in replace_type(context, op)]


def replace_type(context: AutogenContext, op: SyncEnumValuesOp) -> Iterator[str]:
    new, old = (quote(context, op.schema, name) for name in (op.name, f"{op.name}_old"))
    # PostgreSQL itself rebuilds those whose definition has no value of the type.
    indexes = [index for index in op.indexes_to_recreate if "::" in index.definition]
    yield f"ALTER TYPE {new} RENAME TO {quote(context, None, f'{op.name}_old')}"
    yield f"CREATE TYPE {new} AS ENUM ({', '.join(map(literal, op.new_values))})"
    for index in indexes:
        yield f"DROP INDEX {quote(context, *index.name.split('.', 1))}"
    for column in op.affected_columns:
        place = quote(context, column.table_schema, column.table_name)
        name = quote(context, None, column.column_name)
        alter = f"ALTER TABLE {place} ALTER COLUMN {name}"
        array = "[]" if column.column_type is ColumnType.ARRAY else ""
        if column.existing_server_default:
            yield f"{alter} DROP DEFAULT"
        yield f"{alter} TYPE {new}{array} USING {name}::text{array}::{new}{array}"
        if column.existing_server_default:
            yield f"{alter} SET DEFAULT {column.existing_server_default}"
    yield from (index.definition for index in indexes)
    yield f"DROP TYPE {old}"


def quote(context: AutogenContext, schema: str | None, name: str) -> str:
    """Return a name for SQL; the default schema goes without saying."""
    assert context.dialect is not None
    default = schema == context.dialect.default_schema_name
    whole = table(name, schema=None if default else schema)
    return context.dialect.identifier_preparer.format_table(whole)


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
