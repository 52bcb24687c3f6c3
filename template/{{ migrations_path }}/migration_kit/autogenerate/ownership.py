"""Whose table is it? Autogenerate drops no table that this history did not make."""

import ast
import re
from collections import defaultdict
from functools import lru_cache
from typing import Any, NamedTuple

from alembic import context
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, text

from ..catalogs import Objects
from ..histories import other_histories, source_of
from ..rooms import TABLES
from .kinds import kind_of

# The names that databases give to what has none.
UNNAMED = r"(?i)%(table_name)s_(.+_)?(p?key|fkey|check|excl|idx|(ibfk|chk)_)\d*|constraint_\d+"

# The table that goes, the one that comes, and the schema of both.
Operation = tuple[str | None, str | None, str | None]


class Upgrade(NamedTuple):
    """What a revision's source has without its downgrade, and without comments."""

    values: set[str]
    words: set[str]  # of values, SQL for example, and names of arguments; in lower case
    operations: list[Operation]  # in their order, as far as tables are named


def is_of_something_else(connection: Connection, table: Table) -> bool:
    """Return whether a table belongs to Alembic, a table, an extension or another history."""
    if table.columns.keys() == ["version_num"] or table.name in TABLES:
        return True
    parts = kind_of(connection.dialect).parts
    found = connection.scalars(text(parts), {"schema": table.schema}) if parts else ()
    if table.name in set(found):
        return True
    if is_made_by_revision(context.script, table.name, table.schema):
        return False
    others = other_histories(context.config)
    return any(
        is_made_by_revision(script, table.name, table.schema) for _, script in others
    )


def is_made_by_revision(script: ScriptDirectory, name: str, schema: str | None) -> bool:
    """Return whether a revision makes a table, and none after it drops or renames it.

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


def is_made(
    script: ScriptDirectory, table: str, kind: str, name: str, convention: Any
) -> bool:
    """Return whether a revision makes a column, constraint or index, named by it or not.

    Args:
        script: the history.
        table: its name.
        kind: as in a catalog; SQLite's definition is the name of what has none.
        name: in the database.
        convention: `naming_convention` of the models.
    """
    tables = {table}
    for gone, come, _ in reversed(operations_of(script)):
        tables |= {gone} if gone and come in tables else set()
    if kind == "column":
        return any(is_object_of_history(script, f"{one} {name}") for one in tables)
    if "(" in name or is_object_of_history(script, name):
        return True
    forms = "|".join([UNNAMED, "ix_%(column_0_label)s", *map(str, convention.values())])
    hint = kind if kind == "index" else ""  # `index=True` of a column
    known = (one for one in tables if is_object_of_history(script, f"{one} {hint}"))
    for one in map(re.escape, known):
        parts = {"table_name": one, "column_0_label": f"{one}_.+"}
        if re.fullmatch(forms % defaultdict(lambda: ".+", parts), name):
            return True
    return False


def is_object_of_history(script: ScriptDirectory, name: str) -> bool:
    """Return whether an upgrade has a name: as a value, or within SQL."""
    words = set(re.findall(r"\w+", name.lower()))
    return any(words <= upgrade.words for upgrade in upgrades_of(script))


def is_view_of_autogenerate(script: ScriptDirectory, view: Objects) -> bool:
    """Return whether an upgrade has a view in the database's own words.

    SQLite keeps those of the view's author; SQLAlchemy's break the line before FROM alone.
    """
    words, sql = (view.get(("table", "", aspect), "") for aspect in ("view", "sql"))
    if not words or (
        sql and not re.match(r"(?i)CREATE VIEW \S+ AS SELECT .*\n *FROM ", sql)
    ):
        return False
    words = bare(sql or words)
    return any(
        words in bare(value)
        for upgrade in upgrades_of(script)
        for value in upgrade.values
        if "VIEW" in value
    )


def bare(sql: str) -> str:
    """Return SQL without spaces, backslashes and its end."""
    return re.sub(r"[\s\\]|;\s*$", "", sql)


def is_named_by_revision(script: ScriptDirectory, name: str) -> bool:
    """Return whether a revision has a name, of an ENUM type for example, as a value."""
    return any(name in upgrade.values for upgrade in upgrades_of(script))


def operations_of(script: ScriptDirectory) -> list[Operation]:
    """Return what the upgrades of a history do to tables, in their order."""
    return [one for upgrade in upgrades_of(script) for one in upgrade.operations]


@lru_cache(maxsize=16)
def upgrades_of(script: ScriptDirectory) -> list[Upgrade]:
    """Return the upgrades of a history, in their order."""
    paths = map(source_of, script.walk_revisions())
    return [read_upgrade(path.read_bytes()) for path in paths][::-1]


def read_upgrade(source: bytes) -> Upgrade:
    """Read a revision's source; its comments may name what it does not make."""
    nodes = [
        node
        for statement in ast.parse(source).body
        if not getattr(statement, "name", "").startswith("downgrade")
        for node in ast.walk(statement)
    ]
    values = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    arguments = {str(node.arg) for node in nodes if isinstance(node, ast.keyword)}
    words = re.findall(r"\w+", " ".join(values | arguments).lower())
    operations = (table_operation(one) for one in nodes if isinstance(one, ast.Call))
    return Upgrade(values, set(words), [*filter(None, operations)])


def table_operation(call: ast.Call) -> Operation | None:
    """Return what an operation of Alembic's does to a table; None if it is no such one."""
    values = {keyword.arg: literal(keyword.value) for keyword in call.keywords}
    first, second = (*map(literal, call.args[:2]), None, None)[:2]
    schema, table = values.get("schema"), values.get("table_name", first)
    old, new = values.get("old_table_name", first), values.get("new_table_name", second)
    operations: dict[str, Operation] = {
        "create_table": (None, table, schema),
        "drop_table": (table, None, schema),
        "rename_table": (old, new, schema),
    }
    return operations.get(getattr(call.func, "attr", ""))


def literal(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None
