"""The objects of a MySQL or MariaDB database."""

import re
from collections.abc import Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import Connection, Dialect, Integer, Numeric, text
from sqlalchemy.dialects.mysql import BIT
from sqlalchemy.types import NullType, _Binary

from ..autogenerate.servers import open_circles
from .definitions import Definition, Kind

OBJECTS = """
SELECT table_type, table_name, create_time FROM information_schema.tables
WHERE table_schema = DATABASE()
UNION ALL
SELECT routine_type, routine_name, created FROM information_schema.routines
WHERE routine_schema = DATABASE()
UNION ALL
SELECT 'TRIGGER', trigger_name, action_order FROM information_schema.triggers
WHERE trigger_schema = DATABASE()
UNION ALL
SELECT 'EVENT', event_name, created FROM information_schema.events
WHERE event_schema = DATABASE()
ORDER BY 3, 2
"""
FOREIGN_KEY = re.compile(r"^  CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY")


class MySQL(Kind):
    """MySQL and MariaDB."""

    objects = (
        *("sequence", "function", "procedure", "table", "foreign key", "rows", "view"),
        *("trigger", "event"),
    )
    has_index_of_key = True

    def read(self, connection: Connection) -> Iterator[Definition]:
        for row in connection.execute(text(OBJECTS)).all():
            kind, name = str(row[0]), str(row[1])
            if kind in {"BASE TABLE", "SYSTEM VERSIONED"}:
                yield from read_table(connection, name)
                continue
            place = {"EVENT": 3, "FUNCTION": 2, "PROCEDURE": 2, "TRIGGER": 2}.get(
                kind, 1
            )
            create = show(connection, kind, name)[place]
            create = re.sub(r" DEFINER=(`[^`]*`@`[^`]*`)", "", create, count=1)
            drop = f"DROP {kind} {quote(name)}"
            yield Definition(kind.lower(), name, "", create, create, drop)

    def defaults(self, connection: Connection, source: str) -> set[str]:
        query = "SELECT @@default_storage_engine, @@character_set_database, @@collation_database"
        row = connection.execute(text(query)).one()
        return {value for value in row if value not in source}

    def open_circles(
        self, creates: list[ops.MigrateOperation]
    ) -> list[ops.MigrateOperation]:
        return open_circles(creates)

    def word_for(self, type_: Any, dialect: Dialect) -> str:
        """Return a type in SQL, without the width that is only displayed."""
        word = super().word_for(type_, dialect)
        return re.sub(r"^(INTEGER|BIGINT|SMALLINT)\(\d+\)", r"\1", word)

    def literal(self, name: str, type_: Any) -> str:
        if isinstance(type_, Integer | Numeric):
            return f"coalesce(CAST({name} AS CHAR), 'NULL')"
        if isinstance(type_, _Binary | BIT | NullType):
            return f"coalesce(concat('x''', hex({name}), ''''), 'NULL')"
        return super().literal(name, type_)


def read_table(connection: Connection, name: str) -> Iterator[Definition]:
    """Yield a table, and each of its foreign keys."""
    create = show(connection, "TABLE", name)[1]
    lines = re.sub(r"(?m)^(\).*) AUTO_INCREMENT=\d+", r"\1", create).split("\n")
    end = max(number for number, line in enumerate(lines) if line.startswith(")"))
    items = [line.removesuffix(",") for line in lines[1:end]]
    keys = [item for item in items if FOREIGN_KEY.match(item)]
    items = [item for item in items if item not in keys]
    create = "\n".join([lines[0], ",\n".join(items), *lines[end:]])
    columns = [item for item in items if item.startswith("  `")]
    others = sorted(item for item in items if not item.startswith("  `"))
    shape = "\n".join([*columns, *others, *lines[end:]])
    yield Definition("table", name, name, shape, create, f"DROP TABLE {quote(name)}")
    for item in keys:
        key = FOREIGN_KEY.match(item)
        assert key is not None
        alter = f"ALTER TABLE {quote(name)}"
        yield Definition(
            kind="foreign key",
            name=f"{name}.{key[1]}",
            table=name,
            shape=item,
            create=f"{alter} ADD {item.strip()}",
            drop=f"{alter} DROP FOREIGN KEY `{key[1]}`",
        )


def show(connection: Connection, kind: str, name: str) -> list[str]:
    """Return what the database shows of how an object is made."""
    options = connection.execution_options(no_parameters=True)
    row = options.exec_driver_sql(f"SHOW CREATE {kind} {quote(name)}").one()
    return [str(value) for value in row]


def quote(name: str) -> str:
    """Return a name for MySQL and MariaDB."""
    return "`" + name.replace("`", "``") + "`"


kind = MySQL()
