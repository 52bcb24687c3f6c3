"""The objects of a SQLite database."""

import re
from collections.abc import Iterator

from sqlalchemy import Connection, text

from .definitions import Definition, Kind

TOKENS = re.compile(
    r"--[^\n]*|/\*.*?\*/|('(?:[^']|'')*')|\"((?:[^\"]|\"\")*)\"|`([^`]*)`|\[([^\]]*)\]|(\w+|\S)",
    re.DOTALL,
)
DEFAULT = re.compile(r"default \( (\S+) \)")  # brackets that mean nothing
# A virtual table makes the others that begin with its name.
OBJECTS = r"""
SELECT type, name, tbl_name, sql FROM sqlite_master AS item
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND NOT EXISTS (
    SELECT 1 FROM sqlite_master AS virtual WHERE virtual.sql LIKE 'CREATE VIRTUAL TABLE%'
    AND item.name LIKE virtual.name || '\_%' ESCAPE '\'
)
ORDER BY rowid
"""


class SQLite(Kind):
    """SQLite, which keeps the statements themselves."""

    objects = ("table", "index", "rows", "view", "trigger")

    def read(self, connection: Connection) -> Iterator[Definition]:
        for row in connection.exec_driver_sql(OBJECTS).all():
            kind, name, table, sql = map(str, row)
            columns = ""
            if kind == "table":
                info = text("SELECT name FROM pragma_table_xinfo(:name)")
                columns = ", ".join(connection.scalars(info, {"name": name}))
            shape = "\n".join([columns, *sorted(items_of(sql))])
            sql = re.sub(r"[ \t]+\n\t*", "\n    ", sql)  # as SQLAlchemy breaks lines
            drop = f'DROP {kind.upper()} "{name}"' if kind != "index" else ""
            yield Definition(kind, name, table, shape, sql, drop)


def items_of(sql: str) -> list[str]:
    """Return what stands in the brackets of a statement, in one spelling.

    Columns may stand in another order than constraints, as ALTER TABLE puts them.
    """
    items, depth = [""], 0
    for string, *names, word in TOKENS.findall(sql):
        token = string or "".join(names).lower() or word.lower()
        depth += {"(": 1, ")": -1}.get(token, 0)
        if (token, depth) in {(",", 1), ("(", 1), (")", 0)}:
            items.append("")
        else:
            items[-1] += f" {token}"
    return [DEFAULT.sub(r"default \1", item) for item in items]


kind = SQLite()
