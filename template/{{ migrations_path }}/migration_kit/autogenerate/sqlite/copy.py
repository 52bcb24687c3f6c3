"""Batch copies that keep what reflection does not know: the table's own statement is edited.

Alembic compares the table that it reflected with the one that it wants. What is the same in both
stays as it was written, and what reflection does not know stays as well: AUTOINCREMENT and its
counter, COLLATE, STRICT, generated columns, ON CONFLICT, CHECKs without a name, indexes of
expressions, triggers, and views of the table.
"""

import warnings
from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from alembic.util import CommandError
from sqlalchemy import Cast, Table, cast, literal_column, text
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import NullType

from ...catalogs import plain
from ...catalogs.sqlite import Constraint, Part, Statement, parse, tokens

# They are kept.
warnings.filterwarnings("ignore", message="Unnamed CHECK constraint on reflected table")

OBJECTS = "SELECT name, sql FROM sqlite_master WHERE type = :kind AND tbl_name = :table"
COUNTER = "SELECT seq FROM sqlite_sequence WHERE name = :name"


class KeepingSQLiteImpl(SQLiteImpl):
    """Alembic takes the implementation of a dialect that is defined last."""

    __dialect__ = "sqlite"
    pending: Any = None

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Prepare the copy of a table.

        Raises:
            CommandError: if something that stays needs a column that goes.
        """
        super().prep_table_for_batch(batch_impl, table)
        if not batch_impl.reflected:
            return
        quote = self.dialect.identifier_preparer.quote
        names = {old: column.name for old, column in batch_impl.columns.items()}
        for old, new in names.items():
            if old in table.c and table.c[old].name != new:  # in all that names it
                place = f"ALTER TABLE {quote(table.name)} RENAME COLUMN"
                self._exec(plain(f"{place} {quote(old)} TO {quote(new)}"))
                transfer = batch_impl.column_transfers[old]
                kept, renamed = transfer["expr"], literal_column(quote(new), NullType())
                is_cast = isinstance(kept, Cast)
                transfer["expr"] = cast(renamed, kept.type) if is_cast else renamed
        original, *_ = (sql for _, sql in self.objects("table", table.name))
        if not original.lstrip().lower().startswith("create table"):
            raise CommandError(
                f"{table.name} is a virtual table, which cannot be copied"
            )
        gone = [column.name for column in table.c if column.key not in names]
        kept_objects = self.kept_objects(batch_impl, table, gone)
        base, wanted = (
            Statement(str(CreateTable(one).compile(dialect=self.dialect)))
            for one in (table, batch_impl.new_table)
        )
        for part in base.parts:
            part.name = names.get(part.name, part.name)
        edited = merged(parse(original), base, wanted, {*map(str.lower, gone)})
        for key, column in batch_impl.new_table.c.items():
            if column.computed is not None:
                batch_impl.column_transfers[key].pop("expr", None)
        batch_impl.indexes.clear()
        counter = []
        if "autoincrement" in parse(original).options:
            counter = self.run(COUNTER, name=table.name)
        self.pending = batch_impl.new_table, edited, kept_objects, counter

    def run(self, query: str, **values: Any) -> list[Any]:
        """Return the rows of a query."""
        assert self.connection is not None
        result = self.connection.execute(text(query), values)
        return [*result] if result.returns_rows else []

    def objects(self, kind: str, table: str) -> list[tuple[str, str]]:
        """Return names and statements of what belongs to a table."""
        found = self.run(OBJECTS, kind=kind, table=table)
        return [(name, sql) for name, sql in found if sql]

    def kept_objects(self, batch_impl: Any, table: Table, gone: list[str]) -> list[str]:
        """Return the statements of indexes and triggers, to be made again."""
        reflected = {index.name for index in table.indexes}
        found = [
            (f"index {name}", sql)
            for name, sql in self.objects("index", table.name)
            if name not in reflected or name in batch_impl.indexes
        ]
        dropped = {
            f"index {index.name}"
            for index in table.indexes
            if {column.name for column in index.columns} & set(gone)
        }
        found = [(name, sql) for name, sql in found if name not in dropped]
        found += [
            (f"trigger {name}", sql)
            for name, sql in self.objects("trigger", table.name)
        ]
        for column in gone:
            for name, sql in found:
                if column.lower() in {token.value for token in tokens(sql)}:
                    raise CommandError(
                        f"{name} uses {table.name}.{column}: drop it before the column"
                    )
        return [sql for _, sql in found]

    def create_table(self, table: Table, **kw: Any) -> None:
        """Create the copy by the edited statement."""
        if self.pending and table is self.pending[0]:
            name = self.dialect.identifier_preparer.format_table(table)
            self._exec(plain(f"CREATE TABLE {name} {self.pending[1]}"))
        else:
            super().create_table(table, **kw)

    def rename_table(
        self, old_table_name: str, new_table_name: Any, schema: Any = None
    ) -> None:
        """Give the copy the name of the table, and bring back what belongs to it."""
        pending, self.pending = self.pending, None
        if not pending:
            super().rename_table(old_table_name, new_table_name, schema)
            return
        # Without it SQLite looks at views, whose table is not there at this moment.
        self._exec(text("PRAGMA legacy_alter_table = ON"))
        super().rename_table(old_table_name, new_table_name, schema)
        self._exec(text("PRAGMA legacy_alter_table = OFF"))
        _, _, kept, counter = pending
        for sql in kept:
            self._exec(plain(sql))
        for (seq,) in counter:
            values = {"name": str(new_table_name), "seq": seq}
            self.run("DELETE FROM sqlite_sequence WHERE name = :name", **values)
            self.run("INSERT INTO sqlite_sequence VALUES (:name, :seq)", **values)


def merged(
    original: Statement, base: Statement, wanted: Statement, gone: set[str]
) -> str:
    """Return a statement from its first bracket on, with the changes from base to wanted."""
    columns = {part.name: part for part in original.parts if part.name}
    known = {part.name: part.aspects for part in base.parts if part.name}
    before, after = constraints(base), constraints(wanted)
    there: set[tuple[str, str]] = set()

    def kept(part: Part) -> list[str]:
        """Return the sources of the constraints that stay."""
        sources = []
        for one in part.constraints:
            key = one.kind, one.definition
            unknown = key not in before or (one.kind == "check" and not one.name)
            uses = gone & {token.value for token in tokens(one.definition)}
            same = key in after and before.get(key, after[key]).name == after[key].name
            if same or (unknown and not uses):
                there.add(key)
                sources.append(one.source)
        return sources

    lines: list[str] = []
    for part in (part for part in wanted.parts if part.name):
        ours, aspects = columns.get(part.name), known.get(part.name, {})
        if ours is None:
            lines.append(part.source)
            continue
        changed = {
            aspect
            for aspect in aspects.keys() | part.aspects.keys()
            if aspects.get(aspect, ("",))[0] != part.aspects.get(aspect, ("",))[0]
        }
        sources = kept(ours)
        if not changed and len(sources) == len(ours.constraints):
            lines.append(ours.source)
        else:
            stay = {key: one for key, one in ours.aspects.items() if key not in changed}
            new = {key: one for key, one in part.aspects.items() if key in changed}
            types = [source for _, source in [(stay | new).pop("type")]]
            others = [one for key, (_, one) in (stay | new).items() if key != "type"]
            lines.append(" ".join([*types, *others, *sources]))
    for part in original.parts:
        lines += [] if part.name else kept(part)
    lines += [one.source for key, one in after.items() if key not in there]
    tail = original.tail if base.tail == wanted.tail else wanted.tail
    return "(\n\t" + ", \n\t".join(lines) + f"\n){tail}"


def constraints(statement: Statement) -> dict[tuple[str, str], Constraint]:
    """Return the constraints of a statement by kind and definition."""
    return {
        (one.kind, one.definition): one
        for part in statement.parts
        for one in part.constraints
    }
