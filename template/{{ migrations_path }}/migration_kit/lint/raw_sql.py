"""Turn SQL that a revision writes itself into the operations that Alembic has for it.

sqlglot reads it. Where that is not installed, as in production, and for what it does not know, a
pattern finds what drops, renames and empties tables, and nothing else.
"""

import logging
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.dialects import mysql

DDL = re.compile(
    r"\b(ALTER|DROP|TRUNCATE|RENAME|DELETE|CREATE\s+(\w+\s+)?(TABLE|INDEX))\b",
    re.IGNORECASE,
)
CHANGES_TABLE = re.compile(r"\b(ALTER|DROP)\s+TABLE\b", re.IGNORECASE)
UPDATE = re.compile(
    r"\bUPDATE\s+(?:ONLY\s+)?([\w.`\"]+)\s+(?:AS\s+)?(?:\w+\s+)?SET\b", re.IGNORECASE
)
COMMENTS_AND_STRINGS = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
# Their bodies run later, and not in the revision.
ROUTINE = re.compile(
    r"\s*CREATE\s+(OR\s+REPLACE\s+)?(DEFINER\s*=\s*\S+\s+)?"
    r"(FUNCTION|PROCEDURE|TRIGGER|CONSTRAINT\s+TRIGGER|RULE|EVENT|(MATERIALIZED\s+)?VIEW)\b",
    re.IGNORECASE,
)

VIEW = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:\w+\s*=\s*\w+\s+)*VIEW\s+([\w.`\"]+)",
    re.IGNORECASE,
)

NAME = r"[\w.`\"\[\]]+"
DROP_TABLE = re.compile(
    rf"\bDROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?({NAME}(?:\s*,\s*{NAME})*)", re.IGNORECASE
)
TRUNCATE = re.compile(
    rf"\bTRUNCATE\s+(?:TABLE\s+)?(?:ONLY\s+)?({NAME}(?:\s*,\s*{NAME})*)", re.IGNORECASE
)
DELETE = re.compile(rf"\bDELETE\s+FROM\s+(?:ONLY\s+)?({NAME})([^;]*)", re.IGNORECASE)
ALTER_TABLE = re.compile(
    rf"\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?({NAME})([^;]*)", re.IGNORECASE
)
DROP_COLUMN = re.compile(
    r"\bDROP\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?"
    r"(?!(?:CONSTRAINT|INDEX|KEY|PRIMARY|FOREIGN|CHECK|DEFAULT|NOT|PARTITION|IDENTITY|"
    rf"EXPRESSION|COLUMN|IF)\b)({NAME})",
    re.IGNORECASE,
)
RENAME_COLUMN = re.compile(
    rf"\bRENAME\s+(?:COLUMN\s+)?(?!TO\b|AS\b|INDEX\b|KEY\b|CONSTRAINT\b)({NAME})\s+TO\s+({NAME})",
    re.IGNORECASE,
)
RENAME_TO = re.compile(rf"\bRENAME\s+(?:TO|AS)\s+({NAME})", re.IGNORECASE)
RENAME_TABLE = re.compile(
    rf"\bRENAME\s+TABLE\s+({NAME})\s+TO\s+({NAME})", re.IGNORECASE
)

TYPES: dict[str, Any] = {
    "VARCHAR": sa.String,
    "NVARCHAR": sa.String,
    "CHAR": sa.CHAR,
    "NCHAR": sa.CHAR,
    "BPCHAR": sa.CHAR,
    "TEXT": sa.Text,
    "TINYTEXT": mysql.TINYTEXT,
    "MEDIUMTEXT": mysql.MEDIUMTEXT,
    "LONGTEXT": mysql.LONGTEXT,
    "TINYINT": mysql.TINYINT,
    "SMALLINT": sa.SmallInteger,
    "SMALLSERIAL": sa.SmallInteger,
    "MEDIUMINT": mysql.MEDIUMINT,
    "INT": sa.Integer,
    "SERIAL": sa.Integer,
    "BIGINT": sa.BigInteger,
    "BIGSERIAL": sa.BigInteger,
    "DECIMAL": sa.Numeric,
    "FLOAT": sa.REAL,
    "DOUBLE": sa.Double,
    "BOOLEAN": sa.Boolean,
    "DATE": sa.Date,
    "DATETIME": sa.DateTime,
    "TIMESTAMP": sa.DateTime,
    "TIMESTAMPNTZ": sa.DateTime,
    "UUID": sa.Uuid,
    "JSON": sa.JSON,
    "JSONB": sa.JSON,
    "VARBINARY": sa.LargeBinary,
    "BLOB": sa.LargeBinary,
}

SQLGLOT = {"postgresql": "postgres", "mariadb": "mysql"}


class DeleteAllOp(ops.MigrateOperation):
    """TRUNCATE, or DELETE without WHERE."""

    def __init__(self, table_name: str, schema: str | None) -> None:
        """Take a table."""
        self.table_name, self.schema = table_name, schema


class FillOp(ops.MigrateOperation):
    """UPDATE: rows get their values."""

    def __init__(self, table_name: str, schema: str | None) -> None:
        """Take a table."""
        self.table_name, self.schema = table_name, schema


class CreateViewOp(ops.MigrateOperation):
    """A view, which may have the name that a table had."""

    def __init__(self, table_name: str, schema: str | None) -> None:
        """Take its name."""
        self.table_name, self.schema = table_name, schema


class UnknownOp(ops.MigrateOperation):
    """SQL that changes a table in a way that nothing here can read."""


def has_sqlglot() -> bool:
    """Tell whether sqlglot is installed."""
    return find_spec("sqlglot") is not None


def operations_of(sql: str, dialect: str) -> list[ops.MigrateOperation]:
    """Return what SQL does to tables, as operations.

    Args:
        sql: one statement, or several.
        dialect: its name with SQLAlchemy.
    """
    plain = COMMENTS_AND_STRINGS.sub(quoted_nothing, sql)
    filled: list[ops.MigrateOperation] = [
        *(FillOp(*split(name)) for name in UPDATE.findall(plain)),
        *(CreateViewOp(*split(name)) for name in VIEW.findall(plain)),
    ]
    if not DDL.search(plain) or ROUTINE.match(plain):
        return filled
    if not has_sqlglot():
        return [*filled, *by_pattern(plain)]
    return [*filled, *by_sqlglot(sql, dialect)]


def quoted_nothing(match: re.Match[str]) -> str:
    return "''" if match[0].startswith("'") else " "


def split(name: str) -> tuple[str, str | None]:
    """Return the name of a table, and its schema, of what SQL has."""
    schema, _, table = re.sub(r"[`\"\[\]]", "", name).rpartition(".")
    return table, schema or None


# ------------------------------------------------------------------------- By pattern


def by_pattern(sql: str) -> Iterator[ops.MigrateOperation]:
    """Yield what drops, renames and empties tables."""
    for match in DROP_TABLE.finditer(sql):
        for name in match[1].split(","):
            table, schema = split(name.strip())
            yield ops.DropTableOp(table, schema=schema)
    for match in TRUNCATE.finditer(sql):
        for name in match[1].split(","):
            yield DeleteAllOp(*split(name.strip()))
    for match in DELETE.finditer(sql):
        if not re.search(r"\b(WHERE|USING|LIMIT)\b", match[2], re.IGNORECASE):
            yield DeleteAllOp(*split(match[1]))
    for match in RENAME_TABLE.finditer(sql):
        table, schema = split(match[1])
        yield ops.RenameTableOp(table, split(match[2])[0], schema=schema)
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


# ------------------------------------------------------------------------- By sqlglot


def by_sqlglot(sql: str, dialect: str) -> Iterator[ops.MigrateOperation]:
    """Yield what sqlglot reads."""
    sqlglot: Any = import_module("sqlglot")
    log = logging.getLogger("sqlglot")
    was_disabled, log.disabled = log.disabled, True  # it warns of what it does not know
    try:
        statements = sqlglot.parse(sql, dialect=SQLGLOT.get(dialect, dialect))
    except sqlglot.errors.SqlglotError:
        found = list(by_pattern(COMMENTS_AND_STRINGS.sub(quoted_nothing, sql)))
        yield from found or ([UnknownOp()] if CHANGES_TABLE.search(sql) else [])
        return
    finally:
        log.disabled = was_disabled
    for statement in statements:
        if statement is not None:
            yield from of_statement(statement)


def of_statement(node: Any) -> Iterator[ops.MigrateOperation]:
    """Yield the operations of one statement that sqlglot has parsed."""
    kind = type(node).__name__
    if kind == "Alter" and node.args["kind"] == "TABLE":
        for action in node.args["actions"]:
            yield from of_action(action, *table_of(node.this))
    elif kind == "Drop" and node.args["kind"] == "TABLE":
        for table in node.args["tables"]:
            name, schema = table_of(table)
            yield ops.DropTableOp(name, schema=schema)
    elif kind == "TruncateTable":
        for table in node.expressions:
            yield DeleteAllOp(*table_of(table))
    elif kind == "Delete" and not any(
        node.args.get(part) for part in ("where", "using", "limit", "tables")
    ):
        yield DeleteAllOp(*table_of(node.this))
    elif kind == "Create" and node.args["kind"] == "TABLE":
        yield from of_create_table(node)
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
    elif kind == "Command":
        text = f"{node.this} {getattr(node.expression, 'this', node.expression)}"
        yield from by_pattern(COMMENTS_AND_STRINGS.sub(quoted_nothing, text))


def table_of(node: Any) -> tuple[str, str | None]:
    return node.name, node.args["db"].name if node.args.get("db") else None


def of_create_table(node: Any) -> Iterator[ops.MigrateOperation]:
    """Yield a new table, and what in it no two rows have the same of."""
    is_schema = type(node.this).__name__ == "Schema"
    parts = node.this.expressions if is_schema else []
    columns = [column_of(one) for one in parts if type(one).__name__ == "ColumnDef"]
    name, schema = table_of(node.this.this if is_schema else node.this)
    yield ops.CreateTableOp(name, columns, schema=schema)
    for part in parts:
        key = next(part.find_all(import_module("sqlglot.expressions").PrimaryKey), None)
        if key is not None:
            names = [one.name for one in key.expressions]
            yield ops.CreatePrimaryKeyOp("", name, names, schema=schema)
        yield from of_constraint(part, "", name, schema)


def of_action(
    action: Any, table: str, schema: str | None
) -> Iterator[ops.MigrateOperation]:
    """Yield the operations of one action of ALTER TABLE."""
    arguments: dict[str, Any] = {"schema": schema}
    match type(action).__name__:
        case "Drop" if action.args["kind"] == "COLUMN":
            for column in action.args["tables"]:
                yield ops.DropColumnOp(table, column.name, **arguments)
        case "ColumnDef":
            yield ops.AddColumnOp(table, column_of(action), **arguments)
        case "RenameColumn":
            arguments["modify_name"] = action.args["to"].name
            yield ops.AlterColumnOp(table, action.this.name, **arguments)
        case "AlterRename":
            yield ops.RenameTableOp(table, action.this.name, **arguments)
        case "AlterColumn":
            if type_ := action.args.get("dtype"):
                using = action.args.get("using")
                arguments["modify_type"] = type_of(type_)
                arguments["postgresql_using"] = using.sql() if using else None
            if (nullable := action.args.get("allow_null")) is not None:
                arguments["modify_nullable"] = nullable
            yield ops.AlterColumnOp(table, action.name, **arguments)
        case "ModifyColumn":
            column = column_of(action.this)
            old = action.args.get("rename_from")
            if old and old.name != column.name:
                arguments["modify_name"] = column.name
            arguments["modify_nullable"] = column.nullable
            arguments["modify_type"] = column.type
            name = old.name if old else column.name
            yield ops.AlterColumnOp(table, name, **arguments)
        case "AddConstraint":
            for constraint in action.expressions:
                yield from of_constraint(constraint, "", table, schema)


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
        case "ForeignKey":
            columns = [one.name for one in node.expressions]
            yield ops.CreateForeignKeyOp(
                name, table, "", columns, [], source_schema=schema
            )


def column_of(node: Any) -> "sa.Column[Any]":
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
    type_ = type_of(node.args["kind"]) if node.args.get("kind") else None
    return sa.Column(node.name, type_, nullable=not required, server_default=default)


def type_of(node: Any) -> Any:
    """Return a type of SQLAlchemy for one of sqlglot's; NullType for one that is not known."""
    name = getattr(node.this, "value", str(node.this))
    if name in {"TIMESTAMPTZ", "TIMESTAMPLTZ"}:
        return sa.DateTime(timezone=True)
    values = [one.name for one in node.expressions]
    if name == "ENUM":
        return sa.Enum(*values)
    numbers = [int(value) for value in values if value.isdigit()]
    takes_numbers = name in {
        "VARCHAR",
        "NVARCHAR",
        "CHAR",
        "NCHAR",
        "DECIMAL",
        "BPCHAR",
    }
    if name in TYPES:
        return TYPES[name](*numbers) if takes_numbers else TYPES[name]()
    return sa.types.NullType()
