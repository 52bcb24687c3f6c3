"""Turn SQL that a revision writes itself into the operations that Alembic has for it.

sqlglot reads it. If that is not installed, as in production, and for what it does not know, a
pattern finds what drops, renames and empties tables, and nothing else.
"""

import logging
import re
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops

if TYPE_CHECKING:
    from .rules import Rules

pattern = partial(re.compile, flags=re.IGNORECASE)

NAME = r"[\w.`\"\[\]]+"
NAMES = rf"({NAME}(?:\s*,\s*{NAME})*)"

DDL = pattern(
    r"\b(ALTER|DROP|TRUNCATE|RENAME|DELETE|CREATE\s+(\w+\s+)?(TABLE|INDEX))\b"
)
CHANGES_TABLE = pattern(r"\b(ALTER|DROP)\s+TABLE\b")
COMMENTS_AND_STRINGS = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
# Their bodies run later, not in the revision.
ROUTINE = pattern(
    r"\s*CREATE\s+(OR\s+REPLACE\s+)?(DEFINER\s*=\s*\S+\s+)?"
    r"(FUNCTION|PROCEDURE|TRIGGER|CONSTRAINT\s+TRIGGER|RULE|EVENT)\b"
)

UPDATE = pattern(rf"\bUPDATE\s+(?:ONLY\s+)?({NAME})\s+(?:AS\s+)?(?:\w+\s+)?SET\b")
VIEW = pattern(rf"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:\w+\s*=\s*\w+\s+)*VIEW\s+({NAME})")
MATERIALIZED = pattern(
    rf"\bCREATE\s+MATERIALIZED\s+VIEW\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME})"
)
DROP_TABLE = pattern(rf"\bDROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAMES}")
DELETE = pattern(rf"\bDELETE\s+FROM\s+(?:ONLY\s+)?({NAME})([^;]*)")
ALTER_TABLE = pattern(
    rf"\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?({NAME})([^;]*)"
)
DROP_COLUMN = pattern(
    r"\bDROP\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?"
    r"(?!(?:CONSTRAINT|INDEX|KEY|PRIMARY|FOREIGN|CHECK|DEFAULT|NOT|PARTITION|IDENTITY|"
    rf"EXPRESSION|COLUMN|IF)\b)({NAME})"
)
RENAME_COLUMN = pattern(
    rf"\bRENAME\s+(?:COLUMN\s+)?(?!TO\b|AS\b|INDEX\b|KEY\b|CONSTRAINT\b)({NAME})\s+TO\s+({NAME})"
)
RENAME_TO = pattern(rf"\bRENAME\s+(?:TO|AS)\s+({NAME})")

# Types of SQLAlchemy, by the names that sqlglot has for them.
TYPES: dict[str, Any] = {
    "VARCHAR": sa.String,
    "NVARCHAR": sa.String,
    "CHAR": sa.CHAR,
    "NCHAR": sa.CHAR,
    "TEXT": sa.Text,
    "TINYINT": sa.SmallInteger,
    "SMALLINT": sa.SmallInteger,
    "INT": sa.Integer,
    "BIGINT": sa.BigInteger,
    "DECIMAL": sa.Numeric,
    "FLOAT": sa.REAL,
    "DOUBLE": sa.Double,
    "BOOLEAN": sa.Boolean,
    "DATE": sa.Date,
    "DATETIME": sa.DateTime,
    "TIMESTAMP": sa.DateTime,
    "TIMESTAMPNTZ": sa.DateTime,
    "TIMESTAMPTZ": partial(sa.DateTime, timezone=True),
    "JSON": sa.JSON,
    "VARBINARY": sa.LargeBinary,
    "BLOB": sa.LargeBinary,
}
# Those that say how long a value may be.
SIZED = {"VARCHAR", "NVARCHAR", "CHAR", "NCHAR", "BPCHAR", "DECIMAL"}


class TableOp(ops.MigrateOperation):
    """What is done to a table, and Alembic has no operation for."""

    def __init__(self, table_name: str, schema: str | None) -> None:
        self.table_name, self.schema = table_name, schema


class DeleteAllOp(TableOp):
    """TRUNCATE, or DELETE without WHERE."""


class FillOp(TableOp):
    """UPDATE: rows get their values."""


class CreateViewOp(TableOp):
    """A view, which may have the name that a table had."""


class UnknownOp(ops.MigrateOperation):
    """SQL that changes a table in a way that nothing here can read."""


def has_sqlglot() -> bool:
    """Return whether sqlglot is installed."""
    return find_spec("sqlglot") is not None


def operations_of(sql: str, rules: "Rules") -> list[ops.MigrateOperation]:
    """Return what SQL does to tables, as operations.

    Args:
        sql: one statement, or several.
        rules: of the database.
    """
    plain = COMMENTS_AND_STRINGS.sub(quoted_nothing, sql)
    filled: list[ops.MigrateOperation] = [
        *(new_view(*split(name)) for name in MATERIALIZED.findall(plain)),
        *(FillOp(*split(name)) for name in UPDATE.findall(plain)),
        *(CreateViewOp(*split(name)) for name in VIEW.findall(plain)),
    ]
    if not DDL.search(plain) or ROUTINE.match(plain):
        return filled
    if not has_sqlglot():
        return [*filled, *by_pattern(plain, rules)]
    return [*filled, *by_sqlglot(sql, rules)]


def new_view(name: str, schema: str | None) -> ops.CreateTableOp:
    """Return what a new materialized view is like: a table that is not read yet."""
    return ops.CreateTableOp(name, [], schema=schema)


def quoted_nothing(match: re.Match[str]) -> str:
    return "''" if match[0].startswith("'") else " "


def split(name: str) -> tuple[str, str | None]:
    """Return the name of a table, and its schema, of what SQL has."""
    schema, _, table = re.sub(r"[`\"\[\]]", "", name).rpartition(".")
    return table, schema or None


# ------------------------------------------------------------------------- By pattern


def by_pattern(sql: str, rules: "Rules") -> Iterator[ops.MigrateOperation]:
    """Yield what drops, renames and empties tables."""
    for match in DROP_TABLE.finditer(sql):
        for name in match[1].split(","):
            table, schema = split(name.strip())
            yield ops.DropTableOp(table, schema=schema)
    for match in DELETE.finditer(sql):
        if not re.search(r"\b(WHERE|USING|LIMIT)\b", match[2], re.IGNORECASE):
            yield DeleteAllOp(*split(match[1]))
    for match in ALTER_TABLE.finditer(sql):
        table, schema = split(match[1])
        for dropped in DROP_COLUMN.finditer(match[2]):
            yield ops.DropColumnOp(table, split(dropped[1])[0], schema=schema)
        for renamed in RENAME_COLUMN.finditer(match[2]):
            yield ops.AlterColumnOp(
                table,
                split(renamed[1])[0],
                schema=schema,
                modify_name=split(renamed[2])[0],
            )
        if moved := RENAME_TO.search(match[2]):
            yield ops.RenameTableOp(table, split(moved[1])[0], schema=schema)
    yield from rules.by_pattern(sql)


# ------------------------------------------------------------------------- By sqlglot


def by_sqlglot(sql: str, rules: "Rules") -> Iterator[ops.MigrateOperation]:
    """Yield what sqlglot reads."""
    sqlglot: Any = import_module("sqlglot")
    log = logging.getLogger("sqlglot")
    was_disabled, log.disabled = log.disabled, True  # it warns of what it does not know
    try:
        statements = sqlglot.parse(sql, dialect=rules.grammar)
    except sqlglot.errors.SqlglotError:
        plain = COMMENTS_AND_STRINGS.sub(quoted_nothing, sql)
        found = list(by_pattern(plain, rules))
        yield from found or ([UnknownOp()] if CHANGES_TABLE.search(sql) else [])
        return
    finally:
        log.disabled = was_disabled
    for statement in statements:
        if statement is not None:
            yield from of_statement(statement, rules)


def of_statement(node: Any, rules: "Rules") -> Iterator[ops.MigrateOperation]:
    """Yield the operations of one statement that sqlglot has parsed."""
    kind = type(node).__name__
    if kind == "Alter" and node.args["kind"] == "TABLE":
        for action in node.args["actions"]:
            yield from of_action(action, rules, *table_of(node.this))
    elif kind == "Drop" and node.args["kind"] == "TABLE":
        for table in node.args["tables"]:
            name, schema = table_of(table)
            yield ops.DropTableOp(name, schema=schema)
    elif kind == "Delete" and not any(
        node.args.get(part) for part in ("where", "using", "limit", "tables")
    ):
        yield DeleteAllOp(*table_of(node.this))
    elif kind == "Create" and node.args["kind"] == "TABLE":
        yield from of_create_table(node, rules)
    elif kind == "Create" and node.args["kind"] == "INDEX" and node.this.args["table"]:
        name, schema = table_of(node.this.args["table"])
        columns = [
            one.this.name or one.this.sql()
            for one in node.this.args["params"].args["columns"] or []
        ]
        unique = bool(node.args.get("unique"))
        yield ops.CreateIndexOp(
            node.this.name, name, columns, schema=schema, unique=unique
        )
    elif kind in ("Command", "TruncateTable"):
        plain = COMMENTS_AND_STRINGS.sub(quoted_nothing, node.sql())
        yield from by_pattern(plain, rules)


def table_of(node: Any) -> tuple[str, str | None]:
    return node.name, node.args["db"].name if node.args.get("db") else None


def of_create_table(node: Any, rules: "Rules") -> Iterator[ops.MigrateOperation]:
    """Yield a new table, and what in it no two rows have the same of."""
    is_schema = type(node.this).__name__ == "Schema"
    parts = node.this.expressions if is_schema else []
    columns = [
        column_of(one, rules.sql_types)
        for one in parts
        if type(one).__name__ == "ColumnDef"
    ]
    name, schema = table_of(node.this.this if is_schema else node.this)
    yield ops.CreateTableOp(name, columns, schema=schema)
    for part in parts:
        key = next(part.find_all(import_module("sqlglot.expressions").PrimaryKey), None)
        if key is not None:
            names = [one.name for one in key.expressions]
            yield ops.CreatePrimaryKeyOp("", name, names, schema=schema)
        yield from of_constraint(part, "", name, schema)


def of_action(
    action: Any, rules: "Rules", table: str, schema: str | None
) -> Iterator[ops.MigrateOperation]:
    """Yield the operations of one action of ALTER TABLE."""
    arguments: dict[str, Any] = {"schema": schema}
    match type(action).__name__:
        case "Drop" if action.args["kind"] == "COLUMN":
            for column in action.args["tables"]:
                yield ops.DropColumnOp(table, column.name, **arguments)
        case "ColumnDef":
            yield ops.AddColumnOp(
                table, column_of(action, rules.sql_types), **arguments
            )
        case "RenameColumn":
            arguments["modify_name"] = action.args["to"].name
            yield ops.AlterColumnOp(table, action.this.name, **arguments)
        case "AlterRename":
            yield ops.RenameTableOp(table, action.this.name, **arguments)
        case _:
            yield from rules.of_action(action, table, schema)


def of_constraint(
    node: Any, name: str, table: str, schema: str | None
) -> Iterator[ops.MigrateOperation]:
    match type(node).__name__:
        case "Constraint":
            for part in node.expressions:
                yield from of_constraint(part, node.name, table, schema)
        case "UniqueColumnConstraint" if node.this is not None:
            columns = [one.name for one in node.this.expressions]
            own = node.this.this.name if node.this.this else name
            yield ops.CreateUniqueConstraintOp(own, table, columns, schema=schema)
        case "CheckColumnConstraint":
            yield ops.CreateCheckConstraintOp(name, table, "", schema=schema)
        case "ForeignKey":
            columns = [one.name for one in node.expressions]
            yield ops.CreateForeignKeyOp(
                name, table, "", columns, [], source_schema=schema
            )


def column_of(node: Any, types: dict[str, Any]) -> "sa.Column[Any]":
    """Return a column of SQLAlchemy for one of sqlglot's."""
    kinds = {type(one.args["kind"]).__name__ for one in node.args["constraints"] or []}
    required = {"NotNullColumnConstraint", "PrimaryKeyColumnConstraint"} & kinds
    filled = {
        "DefaultColumnConstraint",
        "ComputedColumnConstraint",
        "GeneratedAsIdentityColumnConstraint",
        "AutoIncrementColumnConstraint",
    }
    default = sa.text("0") if kinds & filled else None
    type_ = type_of(node.args["kind"], types) if node.args.get("kind") else None
    return sa.Column(node.name, type_, nullable=not required, server_default=default)


def type_of(node: Any, types: dict[str, Any]) -> Any:
    """Return a type of SQLAlchemy for one of sqlglot's; NullType for one that is not known."""
    name = getattr(node.this, "value", str(node.this))
    values = [one.name for one in node.expressions]
    if name == "ENUM":
        return sa.Enum(*values)
    sizes = [int(value) for value in values if value.isdigit() and name in SIZED]
    return types.get(name, sa.types.NullType)(*sizes)
