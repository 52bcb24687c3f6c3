"""How a revision changes PostgreSQL's ENUM types: in plain SQL, which every tool knows.

alembic-postgresql-enum finds the changes. What it would write, `op.sync_enum_values()`, neither a
type checker nor a linter of SQL can read.
"""

from collections.abc import Iterable, Iterator

from alembic import context
from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import DispatchPriority
from alembic_postgresql_enum import Config, set_configuration
from alembic_postgresql_enum.get_enum_data.types import ColumnType, TableReference
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp
from alembic_postgresql_enum.sql_commands.indexes import get_dependent_indexes

from ..tables import tables_of
from .ownership import is_named_by_revision
from .render import BOUND


def is_ours(name: str) -> bool:
    """Tell an ENUM type of the models, or of a revision, from what others have made."""
    tables = tables_of(context.get_context().opts["target_metadata"]).values()
    types = (column.type for table in tables for column in table.columns)
    models = {getattr(getattr(kind, "item_type", kind), "name", None) for kind in types}
    return name in models or is_named_by_revision(context.script, name)


set_configuration(Config(include_name=is_ours))


@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def find_indexes(
    context: AutogenContext, upgrade_ops: ops.UpgradeOps, _: Iterable[str | None]
) -> None:
    """Remember which indexes a downgrade must make again: rendering has no connection."""
    assert context.connection is not None
    for op in upgrade_ops.ops:
        if isinstance(op, AddEnumValuesOp):
            op.indexes_to_recreate = get_dependent_indexes(
                context.connection, op.schema, op.name
            )


@renderers.dispatch_for(AddEnumValuesOp, replace=True)
def render_added_values(context: AutogenContext, op: AddEnumValuesOp) -> list[str]:
    """Write a statement for each new value; it may run twice, as nothing takes a value back."""
    name = quote(context, op.schema, op.name)
    places = [f"BEFORE {literal(value)}" for value in op.old_values[:1]]
    lines = []
    for value in op.new_values:
        if value not in op.old_values:
            added = f"ADD VALUE IF NOT EXISTS {literal(value)}"
            lines.append(" ".join([f"ALTER TYPE {name} {added}", *places]))
        places = [f"AFTER {literal(value)}"]
    return [render(line) for line in lines]


@renderers.dispatch_for(SyncEnumValuesOp, replace=True)
def render_changed_values(context: AutogenContext, op: SyncEnumValuesOp) -> list[str]:
    """Write how a type with other values takes the place of the old one."""
    return [render(line) for line in replace_type(context, op)]


def replace_type(context: AutogenContext, op: SyncEnumValuesOp) -> Iterator[str]:
    """Yield the statements: PostgreSQL cannot take a value out of a type."""
    new = quote(context, op.schema, op.name)
    old = quote(context, op.schema, f"{op.name}_old")
    # PostgreSQL itself rebuilds those whose definition has no value of the type.
    indexes = [index for index in op.indexes_to_recreate if "::" in index.definition]
    values = ", ".join(map(literal, op.new_values))
    yield f"ALTER TYPE {new} RENAME TO {quote(context, None, f'{op.name}_old')}"
    yield f"CREATE TYPE {new} AS ENUM ({values})"
    for index in indexes:
        yield f"DROP INDEX {quote(context, *index.name.split('.', 1))}"
    for column in op.affected_columns:
        yield from replace_type_of_column(context, column, new)
    for index in indexes:
        yield index.definition
    yield f"DROP TYPE {old}"


def replace_type_of_column(
    context: AutogenContext, column: TableReference, new: str
) -> Iterator[str]:
    table = quote(context, column.table_schema, column.table_name)
    name = quote(context, None, column.column_name)
    alter = f"ALTER TABLE {table} ALTER COLUMN {name}"
    array = "[]" if column.column_type is ColumnType.ARRAY else ""
    default = column.existing_server_default
    if default:
        yield f"{alter} DROP DEFAULT"
    yield f"{alter} TYPE {new}{array} USING {name}::text{array}::{new}{array}"
    if default:
        yield f"{alter} SET DEFAULT {default}"


def quote(context: AutogenContext, schema: str | None, name: str) -> str:
    """Return a name for SQL; the default schema goes without saying."""
    assert context.dialect is not None
    preparer = context.dialect.identifier_preparer
    if schema in {None, context.dialect.default_schema_name}:
        return preparer.quote(name)
    return f"{preparer.quote_schema(schema or '')}.{preparer.quote(name)}"


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def render(statement: str) -> str:
    """Write a statement for a revision; a colon before a word would begin a parameter."""
    escaped = BOUND.sub(r"\\:", statement)
    return f"op.execute({escaped!r})"
