"""Everything that a database has, each object with the statement of its own that makes it.

Stricter than reflection, which has no word for a view, a function or an exclusion constraint. What
no statement is known for is read as well: it can be named, and is not lost silently.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import CompileError

from ..rooms import part


@dataclass(frozen=True)
class Definition:
    """An object of a database.

    Attributes:
        kind: what it is, in a word or two: `table`, `index`.
        name: what tells it from others of its kind.
        table: the table that it belongs to or is, with its schema where that is not the default
            one; else empty.
        shape: what is equal in two databases exactly if the object is.
        create: the statement that makes it; empty where none is known.
        drop: the statement that removes it; empty where it goes with its table, or stays.
    """

    kind: str
    name: str
    table: str
    shape: str
    create: str
    drop: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it in its database."""
        return self.kind, self.name

    def __str__(self) -> str:
        """Name it for a person."""
        return f"{self.kind} {self.name}"


Definitions = dict[tuple[str, str], Definition]


class Kind:
    """A kind of database; `kind` in `sqlite.py`, `postgresql.py` or `mysql.py` is an instance.

    Attributes:
        objects: the kinds of objects, in an order in which most can be made.
        of_tables: those that CREATE TABLE and CREATE INDEX of a revision may make.
        has_index_of_key: whether it makes the index of a foreign key automatically.
        after_rows: the statement that follows rows where constraints are checked at the commit.
    """

    objects: Sequence[str] = ()
    of_tables = frozenset({"table", "constraint", "index", "foreign key", "comment"})
    has_index_of_key = False
    after_rows = ""

    def read(self, connection: Connection) -> Iterator[Definition]:
        """Yield what a database has, in the order in which it was made as far as that is known."""
        raise NotImplementedError

    def schemas(self, connection: Connection) -> set[str | None]:
        """Return the schemas that tables may be in; None is the default one."""
        return {None}

    def defaults(self, connection: Connection, source: str) -> set[str]:
        """Return options of tables that go without saying.

        Args:
            connection: to the database.
            source: of the revisions; what these name is no accident.
        """
        return set()

    def open_circles(
        self, creates: list[ops.MigrateOperation]
    ) -> list[ops.MigrateOperation]:
        """Return what creates tables, with circular foreign keys apart from them."""
        return creates

    def plain_type(self, reflected: Any, dialect: Dialect) -> Any:
        """Return the type of `sqlalchemy` that is the same on a dialect, or the reflected one."""
        try:
            generic = reflected.as_generic()
            same = self.word_for(generic, dialect) == self.word_for(reflected, dialect)
        except (NotImplementedError, CompileError):
            return reflected
        return generic if same else reflected

    def word_for(self, type_: Any, dialect: Dialect) -> str:
        """Return a type in SQL."""
        return str(type_.compile(dialect=dialect))

    def render_type(self, type_: Any, context: AutogenContext) -> str:
        """Render a type that a statement makes before; nothing for any other."""
        return ""

    def trial(self, connection: Connection) -> AbstractContextManager[Any]:
        """Return a context after which a failed statement has left the transaction as it was."""
        return nullcontext()

    def all_rows(self, connection: Connection) -> AbstractContextManager[Any]:
        """Return a context in which nothing hides rows from their owner."""
        return nullcontext()

    def literal(self, name: str, type_: Any) -> str:
        """Return an expression whose value is the literal of a column's value.

        Args:
            name: of the column, quoted.
            type_: its type.
        """
        return f"quote({name})"

    def overriding(self, columns: Sequence[Any]) -> str:
        """Return what INSERT needs to give the columns their values."""
        return ""

    def read_values(self, connection: Connection) -> Iterator[Definition]:
        """Yield what counts in addition to the rows: the value of each sequence."""
        return iter(())


def kind_of(connection: Connection) -> Kind:
    """Return what the project has for the kind of a database."""
    kind: Kind = part("squash", connection.dialect.name).kind
    return kind


def read_definitions(connection: Connection) -> Definitions:
    """Return what a database has, in the order in which it was made as far as that is known."""
    found = kind_of(connection).read(connection)
    return {definition.key: definition for definition in found}


def differences(
    expected: Definitions, found: Definitions
) -> tuple[list[Definition], list[Definition]]:
    """Return what is missing or otherwise in a database, and what it has in addition."""
    missing = [
        definition
        for key, definition in expected.items()
        if key not in found or found[key].shape != definition.shape
    ]
    return missing, [found[key] for key in found.keys() - expected.keys()]
