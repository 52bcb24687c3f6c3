"""Autogenerate on SQLite: the shadow is in `temp`, and a table is copied to change it."""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Dialect

from ...catalogs import Catalog, Objects, read_catalog
from ..differences import Difference, differences
from ..kinds import Kind, Statements
from ..shadow import Models, Shadow, make, translated
from .copy import counter

SQL = "table", "", "sql"
CREATE = re.compile(r"""(?is)^CREATE\s+TABLE\s+(?:"(?:[^"]|"")*"|[^\s(]+)""")


class SQLite(Kind):
    """SQLite has virtual tables, each with tables of its own."""

    parts = """
SELECT part.name FROM sqlite_master AS part JOIN sqlite_master AS virtual
ON part.name = virtual.name OR part.name LIKE virtual.name || '\\_%' ESCAPE '\\'
WHERE virtual.sql LIKE 'CREATE VIRTUAL TABLE%' AND :schema IS NULL
"""

    def cast(self, connection: Connection, models: Models) -> Shadow:
        """Make temporary tables; those of an attached database are left to Alembic."""
        real = models.renamed(read_catalog(connection, {"main": ""}))
        own = [table for table in models.tables if table.schema is None]
        with (
            connection.begin_nested() as savepoint,
            translated(connection, {None: "temp"}),
        ):
            refused = make(connection, own)
            made = read_catalog(connection, {"temp": ""})
            savepoint.rollback()
        return Shadow(real, made, refused)

    def is_said(self, difference: Difference) -> bool:
        """Return whether batch mode and reflection know it."""
        words = f"{difference.real}\n{difference.model}"
        match difference.kind:
            case "column":
                return difference.aspect in {"type", "nullable", "default"}
            case "check" | "unique" | "foreignkey":
                unnamed = difference.name in words.split("\n")
                return not unnamed and " on conflict " not in words
            case "index":
                return not re.search(r"\(.*\(| desc\b| collate | where ", words)
        return False

    def creates(self, made: Objects) -> bool:
        """Return whether no constraint has a clause that a revision's source lacks."""
        return " ON CONFLICT " not in made.get(SQL, "")

    def statements(self, old: Catalog, new: Catalog, dialect: Dialect) -> Statements:
        """Yield what copies each table that differs, or makes its indexes again."""
        quote = dialect.identifier_preparer.quote
        for place in dict.fromkeys([*old, *new]):
            before, after = old.get(place, {}), new.get(place, {})
            kinds = {one.kind for one in differences(place, before, after)}
            if kinds:
                yield from change(place[1], before, after, kinds, quote)


def change(
    table: str, old: Objects, new: Objects, kinds: set[str], quote: Any
) -> Statements:
    """Yield what brings a table or a view from its old objects to the new ones.

    Args:
        kinds: of objects that differ.
    """
    name = quote(table)
    if ("table", "", "view") in old | new:
        yield from [(0, f"DROP VIEW {name}")] if old else []
        yield from [(7, new[SQL])] if new else []
        return
    if not new:
        yield 8, f"DROP TABLE {name}"
        return
    anew = bool(kinds - {"index"})
    if not old:
        yield 3, new[SQL]
    elif anew:
        yield from ((3, sql) for sql in copied(table, old, new, quote))
    for one in old | new:
        is_other = anew or old.get(one) != new.get(one)
        if one[0] in {"index", "trigger"} and one[2] == "sql" and is_other:
            if one in old and not anew:
                yield 1, f"DROP {one[0].upper()} {quote(one[1])}"
            if one in new:
                yield 5, new[one]


def copied(table: str, old: Objects, new: Objects, quote: Any) -> Iterator[str]:
    """Yield what copies a table as SQLite's documentation says, with its counter."""
    temporary = f"_alembic_tmp_{table}"
    name, other = quote(table), quote(temporary)
    options = [one.get(("table", "", "options"), "") for one in (old, new)]
    columns = ", ".join(
        quote(item[1])
        for item in new
        if item[0] == "column" and item[2] == "type" and item in old
        if ("column", item[1], "computed") not in new
    )
    yield CREATE.sub(lambda _: f"CREATE TABLE {other}", new[SQL])
    if all("autoincrement" in one for one in options):
        yield counter(table, temporary)
    yield f"INSERT INTO {other} ({columns}) SELECT {columns} FROM {name}"
    yield f"DROP TABLE {name}"
    yield "PRAGMA legacy_alter_table = ON"  # or views of the table stop it
    yield f"ALTER TABLE {other} RENAME TO {name}"
    yield "PRAGMA legacy_alter_table = OFF"


kind = SQLite()
