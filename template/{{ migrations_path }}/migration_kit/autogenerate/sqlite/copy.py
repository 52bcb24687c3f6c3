"""Batch copies that keep what reflection does not know: the table's own statement is edited.

Alembic compares the table that it reflected with the one that it wants. What is the same in both
stays as it was written, and what reflection does not know stays as well: AUTOINCREMENT and its
counter, COLLATE, STRICT, generated columns, ON CONFLICT, CHECKs without a name, indexes of
expressions, triggers, and views of the table.
"""

import re
import warnings
from typing import Any

from alembic.ddl import sqlite
from alembic.util import CommandError
from sqlalchemy import Column, Table, Text, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import NullType

from ...catalogs import plain
from ...catalogs.sqlite import Clause, Statement, parse, tokens

# Reflection and Alembic skip them; the catalogs and the copies do not.
SKIPPED = [
    "Unnamed CHECK constraint",
    "Skipped unsupported reflection of expr",
    "autogenerate skipping .* expression-based",
]

OBJECTS = """
SELECT name, sql FROM sqlite_master
WHERE type = :kind AND sql IS NOT NULL AND (:table = '' OR tbl_name = :table COLLATE NOCASE)
ORDER BY rowid
"""


class SQLiteImpl(sqlite.SQLiteImpl):
    """Alembic takes the implementation of a dialect that is defined last."""

    __dialect__ = "sqlite"
    pending: Any = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for message in SKIPPED:  # for each run: pytest forgets it after each test
            warnings.filterwarnings("ignore", message=message)

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Prepare the copy of a table, unless the caller says what it is like.

        Raises:
            CommandError: if something that stays needs a column that goes.
        """
        super().prep_table_for_batch(batch_impl, table)
        self.pending, new_table = None, batch_impl.new_table
        given = batch_impl.table_args or batch_impl.table_kwargs != dict(table.kwargs)
        if given or not batch_impl.reflected or table.schema:
            return
        found = self.objects("table", table.name)
        if found[0][1].startswith("CREATE VIRTUAL"):
            raise CommandError(f"{table.name} is a virtual table. Use op.execute()")
        for key, column in batch_impl.columns.items():
            if key in table.c and table.c[key].name != column.name:
                self.rename_column(table, table.c[key], column.name)
        # A copy for a naming convention has no other tables.
        for one in table.foreign_keys:
            target, _, name = one.target_fullname.rpartition(".")
            other = Table(target, table.metadata, extend_existing=True)
            if name not in other.c:
                other.append_column(Column(name))
        transfers = batch_impl.column_transfers
        for column in (*table.c, *new_table.c):
            if isinstance(column.type, NullType):  # a column may have no type
                column.type = Text()
            if column.computed is not None and transfers.get(column.key, True):
                column.computed.sqltext = text("0")  # reflection may read too much
        gone = {c.name.lower() for c in table.c if c.key not in transfers}
        again = {key.lower() for key, transfer in transfers.items() if not transfer}
        statement = parse(self.objects("table", table.name)[0][1])
        base, wanted = (
            Statement(str(CreateTable(one).compile(dialect=self.dialect)))
            for one in (table, new_table)
        )
        name = self.dialect.identifier_preparer.format_table(new_table)
        body = merged(statement, base, wanted, gone, again)
        created = [f"CREATE TABLE {name} {body}"]
        if "autoincrement" in statement.options:
            created.append(counter(table.name, new_table.name))
        kept = self.kept(batch_impl, table, gone)
        for key, column in new_table.c.items():
            if column.computed is not None:
                transfers[key].pop("expr", None)
        batch_impl.indexes.clear()
        self.pending = new_table, created, kept, gone

    def rename_column(self, table: Table, column: Any, name: str) -> None:
        """Rename a column in all that names it; one that has the name makes way for it."""
        quote = self.dialect.identifier_preparer.quote
        for other in table.c:
            if other is not column and other.name.lower() == name.lower():
                self.rename_column(table, other, f"_alembic_tmp_{name}")
        names = f"{quote(column.name)} TO {quote(name)}"
        self._exec(plain(f"ALTER TABLE {quote(table.name)} RENAME COLUMN {names}"))
        column.name = name

    def objects(self, kind: str, table: str = "") -> list[Any]:
        """Return names and statements of what belongs to a table, or of all tables."""
        assert self.connection is not None
        values = {"kind": kind, "table": table}
        return [*self.connection.execute(text(OBJECTS), values)]

    def kept(self, batch_impl: Any, table: Table, gone: set[str]) -> list[str]:
        """Return the statements of indexes and triggers, to be made again."""
        left = {
            index.name
            for index in table.indexes
            if index.name not in batch_impl.indexes
            or gone & {column.name.lower() for column in index.columns}
        }
        found = [("index", *one) for one in self.objects("index", table.name)]
        found = [one for one in found if one[1] not in left]
        found += [("trigger", *one) for one in self.objects("trigger", table.name)]
        for kind, name, sql in found:
            refuse(f"{kind} {name}", sql, gone)
        return [sql for *_, sql in found]

    def create_table(self, table: Table, **kw: Any) -> None:
        """Create the copy by the edited statement."""
        if self.pending and table is self.pending[0]:
            for sql in self.pending[1]:
                self._exec(plain(sql))
        else:
            super().create_table(table, **kw)

    def rename_table(
        self, old_table_name: str, new_table_name: Any, schema: Any = None
    ) -> None:
        """Give the copy the name of the table, and bring back what belongs to it."""
        pending, self.pending = self.pending, None
        if not pending or pending[0].name != old_table_name:
            super().rename_table(old_table_name, new_table_name, schema)
            return
        # Without it SQLite looks at views, whose table is not there at this moment.
        self._exec(text("PRAGMA legacy_alter_table = ON"))
        super().rename_table(old_table_name, new_table_name, schema)
        self._exec(text("PRAGMA legacy_alter_table = OFF"))
        *_, kept, gone = pending
        for sql in kept:
            self._exec(plain(sql))
        quote = self.dialect.identifier_preparer.quote
        for name, sql in self.objects("view") if gone else ():
            if str(new_table_name).lower() in {one.value for one in tokens(sql)}:
                try:
                    self._exec(plain(f"EXPLAIN SELECT * FROM {quote(name)}"))
                except OperationalError:
                    refuse(f"view {name}", sql, gone)


def counter(table: str, copy: str) -> str:
    """Return what gives the empty copy of a table its counter; a rename keeps it."""
    table, copy = (one.replace("'", "''") for one in (table, copy))
    rows = f"SELECT '{copy}', seq FROM sqlite_sequence"
    return f"INSERT INTO sqlite_sequence {rows} WHERE name = '{table}' COLLATE NOCASE"


def refuse(user: str, sql: str, gone: set[str]) -> None:
    """Refuse to drop a column that something else uses.

    Raises:
        CommandError: naming both.
    """
    for column in sorted(gone & {token.value for token in tokens(sql)}):
        raise CommandError(
            f"cannot drop the column {column}: {user} uses it. Drop {user} first"
        )


def merged(
    original: Statement,
    base: Statement,
    wanted: Statement,
    gone: set[str],
    again: set[str],
) -> str:
    """Return a statement from its first bracket on, with the changes from base to wanted.

    Args:
        gone: columns that go.
        again: new columns with the name of one that goes.
    """
    # Alembic takes no CHECK over that has no name.
    before = [one for one in base.constraints if one.name or one.kind != "check"]
    names = {one.name for one in before if one.name}
    removed = [one for one in before if one not in wanted.constraints]
    listed = {one.name for one in original.constraints if one.name}
    removed_as = {one.name for one in removed}  # an equal one may have another name
    removed_as |= {known_as(one) for one in removed if one.name not in listed}
    added = [one for one in wanted.constraints if one not in base.constraints]
    # The values of an Enum go with its type, or when others come.
    values = (re.match(r".+? in \(", one.definition) for one in added)
    stale = [match[0] for match in values if match]
    stale += [
        f"{name.lower()} in ("
        for name, aspects in wanted.columns.items()
        if base.columns.get(name, aspects)["type"] != aspects["type"]
    ]
    constraints = [
        one
        for one in original.constraints
        if not gone & {token.value for token in tokens(one.definition)}
        if (one.name if one.name in names else known_as(one)) not in removed_as
        if not one.definition.startswith(tuple(stale))
    ] + added
    lines: list[str] = []
    for name, aspects in wanted.columns.items():
        if name in original.columns and name.lower() not in again:
            own, known = original.columns[name], base.columns[name]
            if computed := own.get("computed"):
                refuse(f"column {name}", computed.definition, gone)
            dropped = known.keys() - aspects.keys()
            kept = {kind: own[kind] for kind in own if kind not in dropped}
            changed = {k: v for k, v in aspects.items() if known.get(k) != v}
            aspects = kept | changed
        inline = [one for one in constraints if one.column == name]
        lines.append(" ".join(one.source for one in [*aspects.values(), *inline]))
    lines += [one.source for one in constraints if not one.column]
    return "(\n\t" + ", \n\t".join(lines) + f"\n){original.tail}"


def known_as(one: Clause) -> str:
    """Return as much of a definition as reflection tells; a table has one primary key."""
    if one.kind == "primary":
        return one.kind
    if one.kind == "foreignkey":
        return "".join(re.findall(r"^.*? references \S+", one.definition))
    return re.sub(r" on conflict \w+", "", one.definition)
