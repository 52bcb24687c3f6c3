"""Whose table is it? Autogenerate drops no table that this history did not make."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from alembic import context
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, text

from ..histories import other_histories
from ..rooms import BACKFILL_TABLE, LOCK_TABLE

# The table that goes, the one that comes, and the schema of both.
Operation = tuple[str | None, str | None, str | None]

# Tables that belong to something else in the database: an extension, a partitioned or inherited
# table, a virtual table such as a full-text index.
PARTS = {
    "postgresql": """
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname = coalesce(:schema, current_schema())
AND (EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
OR EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e'))
""",
    "sqlite": """
SELECT part.name FROM sqlite_master AS part JOIN sqlite_master AS virtual
ON part.name = virtual.name OR part.name LIKE virtual.name || '\\_%' ESCAPE '\\'
WHERE virtual.sql LIKE 'CREATE VIRTUAL TABLE%'
""",
}


def is_part_or_version_table(connection: Connection, table: Table) -> bool:
    """Tell a table that surely belongs to something else: Alembic in another history, say."""
    own = (BACKFILL_TABLE, LOCK_TABLE)
    if table.columns.keys() == ["version_num"] or table.name in own:
        return True
    statement = PARTS.get(connection.dialect.name)
    if statement is None:
        return False
    values = {"schema": table.schema} if ":schema" in statement else {}
    return table.name in connection.scalars(text(statement), values).all()


def is_made_by_revision(script: ScriptDirectory, name: str, schema: str | None) -> bool:
    """Tell whether a revision makes a table, and none after it drops or renames it.

    Args:
        script: the history; in it, `op.create_table` and `op.rename_table` make a table.
        name: of the table.
        schema: of the table; None is the default one.
    """
    made = False
    default = context.get_context().dialect.default_schema_name
    for gone, come, where in operations_of(script):
        if schema == (None if where == default else where):
            made = (made and gone != name) or come == name
    return made


def is_made_by_other_history(name: str, schema: str | None) -> bool:
    """Tell whether the table is that of another history of alembic.ini, and not of this one."""
    if is_made_by_revision(context.script, name, schema):
        return False
    others = other_histories(context.config)
    return any(is_made_by_revision(script, name, schema) for _, script in others)


@lru_cache(maxsize=16)
def operations_of(script: ScriptDirectory) -> list[Operation]:
    """Return what the revisions of a history do to tables, in their order."""
    revisions = reversed(list(script.walk_revisions()))
    return [found for one in revisions for found in operations_in(read(one.path))]


@lru_cache(maxsize=1)
def schemas_of_history(script: ScriptDirectory) -> set[str | None]:
    """Return the names of the schemas in which revisions make tables."""
    return {
        schema
        for revision in script.walk_revisions()
        if b"schema=" in (source := read(revision.path))  # most need no parser
        for _, _, schema in operations_in(source)
    }


def is_named_by_revision(script: ScriptDirectory, name: str) -> bool:
    """Tell whether a revision has a name, of an ENUM type for example, as a value."""
    return any(
        isinstance(node, ast.Constant) and node.value == name
        for revision in script.walk_revisions()
        for node in upgrade_nodes(read(revision.path))
    )


def operations_in(source: bytes) -> Iterator[Operation]:
    """Yield what a revision's upgrade does to tables, as far as it names them."""
    for node in upgrade_nodes(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from table_operation(node, node.func.attr)


def table_operation(call: ast.Call, name: str) -> Iterator[Operation]:
    values = {keyword.arg: literal(keyword.value) for keyword in call.keywords}
    first, second = (*map(literal, call.args[:2]), None, None)[:2]
    schema = values.get("schema")
    match name:
        case "create_table":
            yield None, values.get("table_name", first), schema
        case "drop_table":
            yield values.get("table_name", first), None, schema
        case "rename_table":
            old = values.get("old_table_name", first)
            yield old, values.get("new_table_name", second), schema


def literal(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def read(path: str) -> bytes:
    with open(path, "rb") as source:
        return source.read()


def upgrade_nodes(source: bytes) -> Iterator[ast.AST]:
    """Yield what a revision's source has, in its order, without its downgrade."""
    for statement in ast.parse(source).body:
        downgrades = isinstance(statement, ast.FunctionDef) and (
            statement.name.startswith("downgrade")
        )
        if not downgrades:
            yield from ast.walk(statement)
