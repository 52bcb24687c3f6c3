"""MySQL and MariaDB: what makes them copy a table, or build an index while writes wait."""

from collections.abc import Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import Dialect, types
from sqlalchemy.dialects import mysql

from .changes import shown
from .raw_sql import NAME, TYPES, column_of, pattern, split
from .rules import Rules, family
from .servers import Server

RENAME_TABLE = pattern(rf"\bRENAME\s+TABLE\s+({NAME})\s+TO\s+({NAME})")

# Bytes of a text, by the name of its type.
TEXTS = {"TINYTEXT": 2**8, "TEXT": 2**16, "MEDIUMTEXT": 2**24, "LONGTEXT": 2**32}

# Of the bytes up to which a VARCHAR has one byte for its length; a character takes up to 4.
SHORT = 255


class MySQL(Server):
    """MySQL and MariaDB."""

    refused = "stop it, or are cut if sql_mode is not strict"
    number = (10, 0)
    grammar = "mysql"
    sql_types = TYPES | {
        "TINYTEXT": mysql.TINYTEXT,
        "MEDIUMTEXT": mysql.MEDIUMTEXT,
        "LONGTEXT": mysql.LONGTEXT,
        "TINYINT": mysql.TINYINT,
        "MEDIUMINT": mysql.MEDIUMINT,
    }

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        is_mariadb = dialect.name == "mariadb"
        self.title = "MariaDB" if is_mariadb else "MySQL"
        self.dump = (
            f"{'mariadb-dump' if is_mariadb else 'mysqldump'} DATABASE {{table}}"
        )
        self.without_value = f"{self.title} gives all rows 0 or '' silently"
        self.remedies = {
            **Rules.remedies,
            "rename-table": "CREATE VIEW {table} AS SELECT * FROM the new name, and drop the "
            f"view one release later: {self.title} writes through it",
            "table-copy": "try it on a copy of the data, or add a new column instead; on a "
            "big table, use gh-ost or pt-online-schema-change",
            "foreign-key": "check the rows with a query, then add it with SET foreign_key_checks "
            f"= 0: {self.title} then copies nothing",
            **dict.fromkeys(
                ("check", "fulltext-index"),
                "add it in a quiet hour; on a big table, use gh-ost or pt-online-schema-change",
            ),
        }

    def length(self, type_: Any) -> int:
        if isinstance(type_, types.Text):
            name = type_.__visit_name__.upper()
            return type_.length or TEXTS.get(name, TEXTS["TEXT"])
        return super().length(type_)

    def copies(self, old: Any, new: Any) -> str:
        if is_in_place(self.plain(old), self.plain(new)):
            return ""
        return f"{self.title} copies the table for it, which blocks writes"

    def blocks(self, operation: ops.MigrateOperation) -> Iterator[tuple[str, str, str]]:
        key = f"{self.title} copies the table to add a foreign key, which blocks writes"
        match operation:
            case ops.AddColumnOp(column=column) if column.foreign_keys:
                table = operation.table_name
                yield "foreign-key", shown(table, operation.schema, column.name), key
            case ops.CreateForeignKeyOp():
                table = operation.source_table
                name = shown(table, operation.kw.get("source_schema"))
                yield "foreign-key", str(operation.constraint_name or name), key
            case ops.CreateCheckConstraintOp():
                copy = f"{self.title} copies the table for it, which blocks writes"
                yield "check", str(operation.constraint_name or ""), copy
            case ops.CreateIndexOp(kw=given):
                names = (f"{self.dialect.name}_prefix", "mysql_prefix")
                prefix = next(filter(None, map(given.get, names)), "").upper()
                if prefix in ("FULLTEXT", "SPATIAL"):
                    name = str(operation.index_name or "")
                    busy = f"writes to {operation.table_name} wait until the {prefix} index"
                    yield "fulltext-index", name, f"{busy} is built"

    def by_pattern(self, sql: str) -> Iterator[ops.MigrateOperation]:
        yield from super().by_pattern(sql)
        for match in RENAME_TABLE.finditer(sql):
            table, schema = split(match[1])
            yield ops.RenameTableOp(table, split(match[2])[0], schema=schema)

    def of_action(
        self, action: Any, table: str, schema: str | None
    ) -> Iterator[ops.MigrateOperation]:
        yield from super().of_action(action, table, schema)
        if type(action).__name__ == "ModifyColumn":
            column = column_of(action.this, self.sql_types)
            old = action.args.get("rename_from")
            name = old.name if old else column.name
            yield ops.AlterColumnOp(
                table,
                name,
                schema=schema,
                modify_name=column.name if column.name != name else None,
                modify_nullable=column.nullable,
                modify_type=column.type,
            )


def is_in_place(before: Any, after: Any) -> bool:
    """Return whether the server needs no copy of the table for another type.

    It needs none for a longer VARCHAR if the bytes of its length are as many, nor for an ENUM with
    more values at its end. Source: "Online DDL Operations" in MySQL's manual.
    """
    match family(before), family(after):
        case "enum", "enum":
            return list(after.enums[: len(before.enums)]) == list(before.enums)
        case "string", "string":
            texts = (types.Text, types.CHAR)
            if not isinstance(before, texts) and not isinstance(after, texts):
                lengths = [(one.length or 2**31) * 4 for one in (before, after)]
                return not lengths[0] <= SHORT < lengths[1]
    return False


rules = MySQL
